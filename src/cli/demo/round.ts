/** One round of the demo: two fresh disks, load and checkpoints, the primary's death, the take-over, the verdict. */

import { join } from 'node:path';
import type { TakeOverImage } from '../../block/replication-status.ts';
import { BLOCK_BYTES } from './block-stamp.ts';
import { BlockWriter } from './block-writer.ts';
import { Checkpointer } from './checkpointer.ts';
import type { Display } from './display.ts';
import { formatCount } from './format.ts';
import { HostPair } from './host-pair.ts';
import { RoundStatus } from './round-status.ts';
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
  /** How long the load lasts. */
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
  readonly primaryImage: string;
  /** Pauses of new writes, one for each checkpoint. */
  readonly pausesMs: readonly number[];
  /** Originals that the buffer had preserved when a checkpoint dropped them, all checkpoints together. */
  readonly bytesPreserved: number;
  readonly killToWriteMs: number;
  readonly viewChecked: number;
  readonly viewMismatches: number;
};

/** True where nothing is lost, every block is as it must be, and the standby saw nothing else than checkpoints. */
export function isGood({ lost, wrongBlocks, viewMismatches, log }: RoundResult): boolean {
  return lost === 0 && wrongBlocks === 0 && viewMismatches === 0 && log.cuts.length > 0;
}

/** Throws where a step fails; a verdict against the take-over is a result. */
export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { round, image, sizeBytes, folder, display, signal } = options;
  const log = new WriteLog(sizeBytes / BLOCK_BYTES);
  const primaryImage = join(folder.images, `round-${round}-primary.img`);
  const standbyImage = join(folder.images, `round-${round}-standby.img`);
  const status = new RoundStatus(round, image);
  display.show(status);
  display.note(`Round ${round}: failover to image '${image}'`);
  await createStampedImages([primaryImage, standbyImage], log.content.length, signal, fraction => {
    status.fraction = fraction;
  });
  await using pair = await HostPair.start({ folder: folder.sockets, primaryImage, standbyImage, signal });
  const played = await play(options, pair, log, standbyImage, status);
  await pair.beta.quit();

  status.enter('verify');
  const found = await readSequences(standbyImage, log.content.length, signal);
  const verdict = verify({ image, found, log, inFlight: played.inFlight });
  const counts = `${formatCount(verdict.lost)} lost, ${formatCount(verdict.rolledBack)} rolled back`;
  display.note(
    `  verified ${formatCount(found.length)} blocks of the raw image against ${formatCount(log.length)} writes: ${counts}`,
  );
  status.enter('done');
  return { ...verdict, ...played, round, image, log, standbyImage, primaryImage };
}

type Played = Pick<RoundResult, 'pausesMs' | 'bytesPreserved' | 'killToWriteMs' | 'viewChecked' | 'viewMismatches'> & {
  readonly inFlight: ReadonlyMap<number, number>;
};

/** Everything that happens while the hosts run. */
async function play(
  { image, seconds, display, signal }: RoundOptions,
  pair: HostPair,
  log: WriteLog,
  standbyImage: string,
  status: RoundStatus,
): Promise<Played> {
  const { alpha, beta } = pair;
  status.alphaPid = alpha.pid;
  status.betaPid = beta.pid;
  display.note(`  alpha, the primary, is process ${alpha.pid}; beta, the standby's host, is process ${beta.pid}`);
  await using writer = await pair.whileAlive(BlockWriter.connect(pair.alphaAddress, 'root', log));
  await using view = await pair.whileAlive(ViewReader.connect(pair.betaAddress, 'view', log.content));
  const checkpointer = new Checkpointer({ pair, log, writer, view, signal });
  status.enter('load');
  const watching = setInterval(() => status.watch(log, view, checkpointer, seconds), WATCH_INTERVAL_MS);
  try {
    writer.start();
    const load = checkpointer.run(seconds * 1000);
    await pair.whileAlive(Promise.race([load, view.run(), writer.failure]));
    status.watch(log, view, checkpointer, seconds);
    if (checkpointer.refused > 0)
      display.note(`  checkpoints refused, aborted and tried again: ${checkpointer.refused}`);
    status.enter('take over');
    display.note(`  killed process ${alpha.pid} with ${writer.inFlight.size} writes in flight`);
    const { killToWriteMs } = await beta.whileAlive(takeOver({ pair, image, standbyImage, writer, view }));
    display.note(`  beta took over: its first write was stored ${killToWriteMs.toFixed(0)} ms after the kill`);
    return {
      inFlight: writer.inFlight,
      pausesMs: checkpointer.pausesMs,
      bytesPreserved: checkpointer.preservedBytes,
      killToWriteMs,
      viewChecked: view.checked,
      viewMismatches: view.mismatches,
    };
  } finally {
    clearInterval(watching);
    status.watch(log, view, checkpointer, seconds);
  }
}
