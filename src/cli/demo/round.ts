/** One round of the demo: two fresh disks, load, checkpoints, the primary's death, the take-over, the verdict. */

import { join } from 'node:path';
import type { TakeOverImage } from '../../block/replication-status.ts';
import { formatCount } from './format.ts';
import { BLOCK_BYTES } from './block-stamp.ts';
import { BlockWriter } from './block-writer.ts';
import { Checkpointer } from './checkpointer.ts';
import type { Display } from './display.ts';
import { HostPair } from './host-pair.ts';
import { newRoundStatus, type Phase, type RoundStatus } from './round-status.ts';
import { createStampedImages, readSequences } from './stamped-image.ts';
import { takeOver } from './take-over.ts';
import { type Verdict, verify } from './verification.ts';
import { ViewReader } from './view-reader.ts';
import type { WorkFolder } from './work-folder.ts';
import { WriteLog } from './write-log.ts';

const WATCH_INTERVAL_MS = 200;

export type RoundOptions = {
  readonly round: number;
  readonly image: TakeOverImage;
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly folder: WorkFolder;
  readonly display: Display;
  readonly signal: AbortSignal;
};

export type RoundResult = Verdict & {
  readonly round: number;
  readonly image: TakeOverImage;
  readonly log: WriteLog;
  readonly standbyImage: string;
  readonly pausesMs: readonly number[];
  readonly refusedCheckpoints: number;
  readonly bytesPreserved: number;
  readonly killToWriteMs: number;
  readonly viewChecked: number;
  readonly viewMismatches: number;
};

/** True where nothing is lost, every block is as it must be, and the standby saw nothing else than checkpoints. */
export function isGood(result: RoundResult): boolean {
  return (
    result.lost === 0 && result.wrongBlocks === 0 && result.viewMismatches === 0 && result.log.cuts.length > 0
  );
}

export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { round, image, sizeBytes, folder, display, signal } = options;
  const blocks = sizeBytes / BLOCK_BYTES;
  const primaryImage = join(folder.images, `round-${round}-primary.img`);
  const standbyImage = join(folder.images, `round-${round}-standby.img`);
  const status = newRoundStatus(round, image);
  const enter = (phase: Phase): void => {
    status.phase = phase;
    status.fraction = 0;
  };
  display.show(status);
  await createStampedImages([primaryImage, standbyImage], blocks, signal, fraction => {
    status.fraction = fraction;
  });
  await using pair = await HostPair.start({ folder: folder.sockets, primaryImage, standbyImage, signal });
  status.alpha = pair.alpha.pid;
  status.beta = pair.beta.pid;
  display.note(`Alpha, the primary, is process ${pair.alpha.pid}; beta, the standby's host, is process ${pair.beta.pid}`);

  const log = new WriteLog(blocks);
  await using writer = await BlockWriter.connect(pair.alphaAddress, 'root', log);
  await using view = await ViewReader.connect(pair.betaAddress, 'view', log.content);
  const checkpointer = new Checkpointer({ pair, log, writer, view, signal });
  enter('load');
  const watching = watch(status, { log, view, checkpointer, seconds: options.seconds });
  try {
    writer.start();
    const reading = view.run();
    const load = checkpointer.run(options.seconds * 1000);
    await pair.whileAlive(Promise.race([load, writer.failure, reading]));
    enter('take over');
    status.killed = true;
    display.note(`Killing process ${pair.alpha.pid} with ${writer.inFlight.size} writes in flight`);
    const { killToWriteMs } = await pair.beta.whileAlive(takeOver({ pair, image, standbyImage, writer, view }));
    display.note(`Beta took over with image '${image}': its first write was stored ${killToWriteMs.toFixed(0)} ms after the kill`);
    await pair.beta.quit();
    enter('verify');
    const found = await readSequences(standbyImage, blocks, signal);
    const verdict = verify({ image, found, log, inFlight: writer.inFlight });
    display.note(
      `Verified ${formatCount(blocks)} blocks of the raw image: ${formatCount(verdict.lost)} writes lost, ${formatCount(verdict.rolledBack)} ${image === 'latest' ? 'newer than the checkpoint' : 'rolled back'}`,
    );
    return {
      ...verdict,
      round,
      image,
      log,
      standbyImage,
      pausesMs: checkpointer.pausesMs,
      refusedCheckpoints: checkpointer.refused,
      bytesPreserved: checkpointer.preservedBytes,
      killToWriteMs,
      viewChecked: view.checked,
      viewMismatches: view.mismatches,
    };
  } finally {
    clearInterval(watching);
    enter('done');
  }
}
