import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ColobusDaemon } from '../daemon/colobus-daemon.ts';
import { drivers } from '../drivers/index.ts';
import { blockExportAdd } from './commands/block-export-add.ts';

test('of two commands at once that export under one id or one name, the second is refused and leaves nothing', async () => {
  await using daemon = new ColobusDaemon({ drivers });
  await daemon.exports.startServer(null, { maxConnections: 0 });
  const node = await daemon.graph.add({ driver: 'memory', 'node-name': 'disk', size: 65_536 });
  const add = (id: string, name: string): Promise<unknown> =>
    blockExportAdd.execute({ type: 'nbd', id, 'node-name': 'disk', name }, daemon);
  const outcomes = await Promise.allSettled([add('one', 'x'), add('one', 'y'), add('two', 'x')]);
  assert.deepEqual(
    outcomes.map(outcome => (outcome.status === 'rejected' ? outcome.reason.message : null)),
    [null, "Block export id 'one' is already in use", "NBD server already has export named 'x'"],
  );
  assert.deepEqual(
    daemon.exports.infos().map(({ id }) => id),
    ['one'],
  );
  assert.equal(node.parents.size, 1);
});
