/** `npm run guest [-- --rounds N --records N]`: a real guest on a replicated disk, and everything that may die beside it. */

import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { GuestImage } from '../../tools/guest/guest-image.ts';
import { projectRoot } from '../support/project.ts';
import { survives } from './survival.ts';
import { takeOverCheckpoint, takeOverLatest } from './take-over.ts';

const SCENARIOS = [
  ['image latest', takeOverLatest],
  ['image checkpoint', takeOverCheckpoint],
  ['goes on', survives],
] as const;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { rounds: { type: 'string' }, records: { type: 'string' } } });
  const rounds = Number(values.rounds ?? 1);
  const records = Number(values.records ?? 300);
  if (![rounds, records].every(value => Number.isSafeInteger(value) && value >= 1)) {
    process.stderr.write('guest: --rounds and --records take a whole number from 1 on\n');
    return 2;
  }
  GuestImage.of(projectRoot).make();
  for (let round = 1; round <= rounds; round += 1) {
    for (const [what, scenario] of SCENARIOS) {
      const startMs = performance.now();
      try {
        // Not the same number twice, so that the kill comes at another moment of the guest's life.
        const said = await scenario({ place: 'disk', records: records + round });
        const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
        process.stdout.write(`round ${round}, ${what}: ${said} (${seconds} s)\n`);
      } catch (error) {
        process.stdout.write(`round ${round}, ${what}: ${messageOf(error)}\n`);
        return 1;
      }
    }
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
