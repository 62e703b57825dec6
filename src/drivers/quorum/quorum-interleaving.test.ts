import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { EIO } from '../../base/errno.ts';
import type { BlockEvent } from '../../block/block-event.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import type { SimulatedDisk } from '../../sim/simulated-disk.ts';
import { simulatedDriver } from '../../sim/simulated-disk.ts';
import { quorumDriver } from './quorum-driver.ts';

const SIZE = 8;
const NAMES = ['a', 'b', 'c'] as const;

/** What happens: the guest writes or reads a range, or one disk moves one of its requests by half, or fails it. */
type Move =
  | { readonly kind: 'write' | 'read'; readonly offset: number; readonly length: number; readonly value: number }
  | { readonly kind: 'step'; readonly disk: number; readonly index: number; readonly fails: boolean };

const range = {
  offset: fc.nat(SIZE - 1),
  length: fc.integer({ min: 1, max: SIZE }),
  value: fc.integer({ min: 1, max: 255 }),
};
const guestMove = fc
  .record({ kind: fc.constantFrom('write', 'read'), ...range })
  .map(move => ({ ...move, length: Math.min(move.length, SIZE - move.offset) }));
const step = fc.record({
  kind: fc.constant('step' as const),
  disk: fc.nat(NAMES.length - 1),
  index: fc.nat(7),
  fails: fc.boolean(),
});
const moves = fc.array(fc.oneof({ arbitrary: guestMove, weight: 1 }, { arbitrary: step, weight: 6 }), {
  minLength: 50,
  maxLength: 150,
}) as fc.Arbitrary<readonly Move[]>;

class Interleaving implements AsyncDisposable {
  readonly events: BlockEvent[] = [];
  readonly disks = new Map<string, Buffer>(NAMES.map(name => [name, Buffer.alloc(SIZE)]));
  readonly graph = new BlockGraph({
    drivers: [quorumDriver, simulatedDriver(this.disks)],
    emit: event => this.events.push(event),
  });
  /** What the disk holds once everything has ended: overlapping writes take effect in the order they came. */
  readonly model = Buffer.alloc(SIZE);
  readonly outcomes: Promise<number>[] = [];

  async open(): Promise<DiskClient> {
    for (const name of NAMES) await this.graph.add({ driver: 'simulated', 'node-name': name });
    const options = { children: NAMES, 'vote-threshold': 2, 'rewrite-corrupted': true };
    return new DiskClient(await this.graph.add({ driver: 'quorum', 'node-name': 'q', ...options }));
  }

  /** Only disk `a` may fail: the others are the threshold. */
  play(client: DiskClient, move: Move, mayFail: boolean): void {
    if (move.kind === 'step') {
      const errno = move.fails && mayFail && move.disk === 0 ? EIO : 0;
      this.#disk(NAMES[move.disk] ?? 'a').step(move.index, errno);
      return;
    }
    const buffer = Buffer.alloc(move.length, move.value);
    if (move.kind === 'write') this.model.fill(move.value, move.offset, move.offset + move.length);
    this.outcomes.push(client.submit(move.kind, move.offset, move.length, { buffer }));
  }

  /** Lets everything that is in flight end well. */
  settle(): void {
    while (NAMES.some(name => this.#disk(name).waiting.length > 0)) {
      for (const name of NAMES) this.#disk(name).settle();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.graph[Symbol.asyncDispose]();
  }

  #disk(name: string): SimulatedDisk {
    return this.graph.node(name) as SimulatedDisk;
  }
}

async function playAll(sequence: readonly Move[], mayFail: boolean): Promise<readonly BlockEvent[]> {
  await using game = new Interleaving();
  using client = await game.open();
  for (const move of sequence) game.play(client, move, mayFail);
  game.settle();
  for (const outcome of game.outcomes) assert.equal(await outcome, 0);
  const read = client.read(0, SIZE);
  game.settle();
  assert.deepEqual(await read, game.model, 'what was written is read');
  for (const [name, bytes] of game.disks) assert.deepEqual(bytes, game.model, `disk ${name}`);
  return game.events;
}

test('whatever the order in which children do their work, they end alike and no child is called bad', async () => {
  await fc.assert(
    fc.asyncProperty(moves, async sequence => {
      assert.deepEqual(await playAll(sequence, false), []);
    }),
    { numRuns: 100 },
  );
});

test('a child that fails now and then is put right, and never with older data than was acknowledged', async () => {
  await fc.assert(
    fc.asyncProperty(moves, async sequence => {
      await playAll(sequence, true);
    }),
    { numRuns: 100 },
  );
});
