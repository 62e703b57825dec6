/** The journal of `--keep`: a line for each acknowledged write, for programs that check the verdict (README.md). */

import { open } from 'node:fs/promises';
import type { WriteLog } from './write-log.ts';

const LINES_PER_WRITE = 8192;

/** Appends the writes of `round` to the journal at `path`, in the order in which they were acknowledged. */
export async function appendJournal(path: string, round: number, log: WriteLog): Promise<void> {
  await using file = await open(path, 'a');
  for (let from = 0; from < log.length; from += LINES_PER_WRITE) {
    let lines = '';
    log.forEach(from, Math.min(log.length, from + LINES_PER_WRITE), (block, sequence, checkpoint) => {
      lines += `{"round":${round},"block":${block},"sequence":${sequence},"checkpoint":${checkpoint}}\n`;
    });
    await file.appendFile(lines);
  }
}
