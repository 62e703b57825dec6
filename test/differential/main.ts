/** `npm run differential [-- --sequences N --seed N]`: Colobus against real QEMU, on random sequences. */

import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { runSequence } from './run-sequence.ts';

const DEFAULT_SEQUENCES = '200';

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { sequences: { type: 'string' }, seed: { type: 'string' } } });
  const sequences = Number(values.sequences ?? DEFAULT_SEQUENCES);
  const seed = Number(values.seed ?? Date.now() % 2 ** 32);
  if (!Number.isSafeInteger(sequences) || sequences < 1 || !Number.isSafeInteger(seed) || seed < 0) {
    process.stderr.write('differential: --sequences takes a whole number from 1 on, --seed one from 0 on\n');
    return 2;
  }
  process.stdout.write(`${sequences} sequences from seed ${seed} on\n`);
  for (let index = 0; index < sequences; index += 1) {
    try {
      await runSequence(seed + index, 'with-qemu');
    } catch (error) {
      process.stdout.write(
        `\n${messageOf(error)}\nAgain: npm run differential -- --sequences 1 --seed ${seed + index}\n`,
      );
      return 1;
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${index + 1} of ${sequences}`);
  }
  process.stdout.write(`${sequences} sequences: QEMU, Colobus and the model agree on every byte\n`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
