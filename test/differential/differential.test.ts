import { test } from 'node:test';
import { runSequence } from './run-sequence.ts';

test('20 random sequences leave QEMU and Colobus with the same bytes in every view', async t => {
  const seed = Date.now() % 2 ** 32;
  t.diagnostic(`differential seed ${seed}`);
  for (let index = 0; index < 20; index += 1) await runSequence(seed + index, 'with-qemu');
});

test('5 random sequences of writes with any alignment leave Colobus with the bytes of the model', async t => {
  const seed = Date.now() % 2 ** 32;
  t.diagnostic(`differential seed ${seed}`);
  for (let index = 0; index < 5; index += 1) await runSequence(seed + index, 'without-qemu');
});
