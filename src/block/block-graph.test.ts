import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { DiskClient } from '../../test/support/disk-client.ts';
import { UsageError } from '../base/errors.ts';
import { drivers } from '../drivers/index.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from './block-edge.ts';
import { BlockGraph } from './block-graph.ts';
import type { Driver } from './driver.ts';

/** Attaches a child it was given and one it defines, then fails. */
const failingDriver: Driver<{ readonly child: string }> = {
  name: 'failing',
  summary: 'Fails after attaching its children',
  options: z.strictObject({ child: z.string() }),
  async open(options, context) {
    await context.attach('given', options.child, WRITE_EXCLUSIVE);
    await context.attach('own', { driver: 'memory', size: 512 }, WRITE_EXCLUSIVE);
    throw new UsageError('It cannot be');
  },
};

function newGraph(): BlockGraph {
  return new BlockGraph({ drivers: [...drivers, failingDriver] });
}

const disk = { driver: 'memory', 'node-name': 'disk', size: 4096 };

test('a node is found by its name until it is removed', async () => {
  await using graph = newGraph();
  const node = await graph.add(disk);
  assert.equal(graph.node('disk'), node);
  assert.equal(node.driver, 'memory');
  await graph.remove('disk');
  assert.equal(graph.find('disk'), undefined);
  assert.throws(() => graph.node('disk'), /Cannot find device='' nor node-name='disk'/);
});

test('a definition that cannot be is refused in one sentence, and adds nothing', async () => {
  await using graph = newGraph();
  await graph.add(disk);
  for (const [definition, reason] of [
    [{ driver: 'memory', size: 1 }, /'node-name' must be specified/],
    [{ driver: 'qcow3', 'node-name': 'a' }, /Parameter 'driver' does not accept value 'qcow3'; known are file, /],
    [{ driver: 'memory', 'node-name': 'a' }, /Parameter 'size' is missing/],
    [{ driver: 'memory', 'node-name': 'a', size: 1, colour: 'red' }, /Parameter 'colour' is unexpected/],
    [{ driver: 'memory', 'node-name': 'a', size: true }, /Invalid parameter type for 'size', expected: integer/],
    [{ driver: 'memory', 'node-name': 'a', size: 1, 'read-only': 'no' }, /type for 'read-only', expected: boolean/],
    [{ driver: 'memory', 'node-name': '1a', size: 1 }, /Invalid node-name: '1a'/],
    [{ driver: 'memory', 'node-name': 'disk', size: 1 }, /Duplicate nodes with node-name='disk'/],
    [{ driver: 'raw', 'node-name': 'a', file: 'none' }, /Cannot find device='none' nor node-name='none'/],
  ] as const) {
    await assert.rejects(graph.add(definition), (error: unknown) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, reason);
      return true;
    });
  }
  assert.deepEqual(
    graph.nodes().map(node => node.name),
    ['disk'],
  );
});

test('a failed open undoes its children: the given one is free again, its own is gone', async () => {
  await using graph = newGraph();
  const node = await graph.add(disk);
  await assert.rejects(graph.add({ driver: 'failing', 'node-name': 'top', child: 'disk' }), /It cannot be/);
  assert.deepEqual(graph.nodes(), [node]);
  assert.equal(node.parents.size, 0);
  await graph.add({ driver: 'memory', 'node-name': 'top', size: 1 });
});

test('two adds at once of one name: one gets it', async () => {
  await using graph = newGraph();
  const outcomes = await Promise.allSettled([graph.add(disk), graph.add(disk)]);
  assert.deepEqual(outcomes.map(outcome => outcome.status).sort(), ['fulfilled', 'rejected']);
  assert.equal(graph.nodes().length, 1);
});

test('a node in use is not removed, and the refusal says who uses it', async () => {
  await using graph = newGraph();
  await graph.add(disk);
  await graph.add({ driver: 'raw', 'node-name': 'window', file: 'disk' });
  await assert.rejects(graph.remove('disk'), /Block device disk is in use by node 'window'/);
  {
    using _client = new DiskClient(graph.node('window'), READ_SHARED, "export 'root'");
    await assert.rejects(graph.remove('window'), /Node window is in use by export 'root'/);
  }
  await graph.remove('window');
  await graph.remove('disk');
});

test('children defined with a node go with it, those it was given stay', async () => {
  await using graph = newGraph();
  await graph.add(disk);
  const inner = { driver: 'raw', file: 'disk' };
  await graph.add({ driver: 'raw', 'node-name': 'window', file: { driver: 'blkdebug', image: inner } });
  assert.equal(graph.nodes().length, 4);
  await graph.remove('window');
  assert.deepEqual(
    graph.nodes().map(node => node.name),
    ['disk'],
  );
});

test('children defined with a read-only node are read-only unless they say otherwise', async () => {
  await using graph = newGraph();
  const file = { driver: 'memory', size: 512 };
  const top = await graph.add({ driver: 'raw', 'node-name': 'a', 'read-only': true, file });
  assert.equal(top.children.get('file')?.node.readOnly, true);
  const other = await graph.add({
    driver: 'raw',
    'node-name': 'b',
    'read-only': true,
    file: { ...file, 'read-only': false },
  });
  assert.equal(other.children.get('file')?.node.readOnly, false);
});
