/**
 * `npm run fuzz -- [--seconds N] [--seed N] [--target server|client]`: random sessions with the NBD server and the NBD
 * client until time is up.
 *
 * A failure prints its seed; `--seed` starts there, so the same failure comes first. Exit code 1 where one was found.
 */

import { parseArgs } from 'node:util';
import { type FuzzTarget, fuzz, TARGETS } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    target: { type: 'string' },
  },
});
const targets = values.target === undefined ? TARGETS : TARGETS.filter(target => target === values.target);
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (targets.length === 0 || !(seconds > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write('Usage: npm run fuzz -- [--seconds N] [--seed N] [--target server|client]\n');
  process.exit(2);
}
process.stdout.write(`seed ${seed}, ${seconds} s, ${targets.join(' and ')}\n`);
const outcomes = await fuzz({ seed, milliseconds: seconds * 1000, targets: targets as readonly FuzzTarget[] });
for (const { target, rounds, failure } of outcomes) {
  process.stdout.write(`${target}: ${rounds} rounds, ${failure === null ? 'nothing found' : failure}\n`);
}
process.exitCode = outcomes.some(({ failure }) => failure !== null) ? 1 : 0;
