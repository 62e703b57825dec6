/** The demo: a round for each image that a standby can take over with. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TakeOverImage } from '../../block/replication-status.ts';
import type { Display } from './display.ts';
import { appendJournal } from './journal.ts';
import { type RoundResult, runRound } from './round.ts';
import { WorkFolder } from './work-folder.ts';

export const ROUNDS: readonly TakeOverImage[] = ['latest', 'checkpoint'];

export type DemoOptions = {
  /** Of the disk; a multiple of BLOCK_BYTES. */
  readonly sizeBytes: number;
  /** How long the load of a round lasts. */
  readonly seconds: number;
  /** The folder that images and journal are left in, or null. */
  readonly keep: string | null;
  readonly display: Display;
  /** Aborting ends the hosts, and with them the demo. */
  readonly signal: AbortSignal;
};

/** Throws where a step fails; processes and temporary files are gone then, too. */
export async function runDemo(options: DemoOptions): Promise<readonly RoundResult[]> {
  await using folder = await WorkFolder.create(options.keep);
  const journal = join(folder.images, 'journal.jsonl');
  await rm(journal, { force: true });
  const results: RoundResult[] = [];
  for (const [index, image] of ROUNDS.entries()) {
    const result = await runRound({ ...options, round: index + 1, image, folder });
    results.push(result);
    if (options.keep !== null) await appendJournal(journal, result.round, result.log);
    else for (const path of [result.primaryImage, result.standbyImage]) await rm(path, { force: true });
  }
  return results;
}
