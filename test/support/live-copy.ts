/**
 * LiveCopy: a job that copies one simulated disk to another while a guest writes, with every request moved by the test.
 *
 * One seed fixes what the guest writes, which request moves when, and which fails. The model is what the guest was
 * told: a write that was acknowledged is in it, and no two writes in flight overlap.
 */

import { BlockGraph } from '../../src/block/block-graph.ts';
import type { BlockNode } from '../../src/block/block-node.ts';
import { whileDrained } from '../../src/block/drain.ts';
import { Job } from '../../src/jobs/job.ts';
import type { JobEvent } from '../../src/jobs/job-event.ts';
import type { JobWork } from '../../src/jobs/job-work.ts';
import { SimulatedClock } from '../../src/sim/simulated-clock.ts';
import { SimulatedDisk, simulatedDriver } from '../../src/sim/simulated-disk.ts';
import { DiskClient } from './disk-client.ts';
import { SeededRandom } from './seeded-random.ts';

/** Not a whole number of anything. */
export const DISK_BYTES = 700_000;
const MAX_WRITES = 4;

export type LiveCopyOptions = {
  readonly seed: number;
  /** One of so many requests of the target and of reads of the source fails; 0 lets none fail. */
  readonly failsOneIn?: number;
};

export class LiveCopy implements AsyncDisposable {
  readonly clock: SimulatedClock = new SimulatedClock();
  readonly random: SeededRandom;
  readonly events: JobEvent[] = [];
  readonly graph: BlockGraph;
  readonly source: SimulatedDisk;
  readonly target: SimulatedDisk;
  /** What the disk held when the copy was made. */
  readonly before: Buffer;
  /** What the guest was told that it holds. */
  readonly model: Buffer;
  readonly guest: DiskClient;
  /** Guest's writes that failed. */
  failedWrites = 0;
  job: Job | null = null;
  readonly #failsOneIn: number;
  readonly #writing: { readonly offset: number; readonly length: number }[] = [];

  private constructor(options: LiveCopyOptions, graph: BlockGraph, source: BlockNode, target: BlockNode) {
    if (!(source instanceof SimulatedDisk) || !(target instanceof SimulatedDisk)) throw new Error('No simulated disk');
    this.random = new SeededRandom(options.seed);
    this.graph = graph;
    this.source = source;
    this.target = target;
    this.random.bytes(DISK_BYTES).copy(source.bytes);
    // Holes that a copy may not take for data, and leftovers on the target that it must overwrite.
    source.bytes.fill(0, 65_536, 200_000);
    target.bytes.fill(0xee);
    this.before = Buffer.from(source.bytes);
    this.model = Buffer.from(source.bytes);
    this.guest = new DiskClient(source, undefined, 'guest');
    this.#failsOneIn = options.failsOneIn ?? 0;
  }

  static async create(options: LiveCopyOptions): Promise<LiveCopy> {
    const disks = new Map(['source', 'target'].map(name => [name, Buffer.alloc(DISK_BYTES)]));
    const graph = new BlockGraph({ drivers: [simulatedDriver(disks)] });
    const source = await graph.add({ driver: 'simulated', 'node-name': 'source' });
    const target = await graph.add({ driver: 'simulated', 'node-name': 'target' });
    return new LiveCopy(options, graph, source, target);
  }

  start(work: JobWork): Job {
    this.job = new Job({
      id: 'j',
      type: 'test',
      work,
      clock: this.clock,
      autoDismiss: false,
      emit: event => this.events.push(event),
    });
    this.job.start();
    return this.job;
  }

  /** One turn of the world: perhaps the guest writes, some requests move, and what follows from that happens. */
  async turn({ writes = true }: { readonly writes?: boolean } = {}): Promise<void> {
    if (writes && this.#writing.length < MAX_WRITES && this.random.below(2) === 0) this.#write();
    for (let moves = this.random.below(6); moves >= 0; moves--) this.#move();
    await new Promise(resolve => setImmediate(resolve));
    this.clock.advance(this.random.below(30));
  }

  /** Turns until `isMet`, or throws after many. */
  async until(isMet: () => boolean, options: { readonly writes?: boolean } = {}): Promise<void> {
    for (let turns = 0; !isMet(); turns++) {
      if (turns > 20_000) throw new Error(`Still not after ${turns} turns; the job is ${this.job?.status}`);
      await this.turn(options);
    }
  }

  /** Drains `disk`, and sees that nothing reaches it until it lets go again. */
  async drain(disk: SimulatedDisk): Promise<void> {
    let isOver = false;
    const drained = whileDrained(disk, this.clock, async () => {
      for (let turns = 0; turns < 3; turns++) {
        await this.turn();
        if (disk.waiting.length > 0) throw new Error(`A ${disk.waiting[0]?.kind} reaches a drained disk`);
      }
    }).finally(() => {
      isOver = true;
    });
    drained.catch(() => {});
    await this.until(() => isOver);
    await drained;
  }

  /** The guest writes; until `isQuiet` the write may be in flight. */
  write(offset: number, buffer: Buffer): void {
    this.#submit('write', offset, buffer);
  }

  /** Nothing of the guest's is in flight any more. */
  get isQuiet(): boolean {
    return this.#writing.length === 0;
  }

  #move(): void {
    const disk = this.random.below(2) === 0 ? this.source : this.target;
    const count = disk.waiting.length;
    if (count === 0) return;
    const index = this.random.below(count);
    const request = disk.waiting[index];
    const isCopying = this.guest.backend.node === this.source;
    const mayFail = this.#failsOneIn > 0 && isCopying && (disk === this.target || request?.kind === 'read');
    const fails = mayFail && request?.kind !== 'flush' && this.random.below(this.#failsOneIn) === 0;
    disk.step(index, fails ? 5 : 0);
  }

  #write(): void {
    const offset = this.random.below(DISK_BYTES);
    const length = Math.min(DISK_BYTES - offset, 1 + this.random.below(this.random.pick([100, 5000, 150_000])));
    if (this.#writing.some(other => other.offset < offset + length && offset < other.offset + other.length)) return;
    const kind = this.random.pick<'write' | 'write-zeroes' | 'discard'>(['write', 'write', 'write-zeroes', 'discard']);
    this.#submit(kind, offset, this.random.bytes(length));
  }

  #submit(kind: 'write' | 'write-zeroes' | 'discard', offset: number, buffer: Buffer): void {
    const { length } = buffer;
    const range = { offset, length };
    this.#writing.push(range);
    void this.guest.submit(kind, offset, length, { buffer }).then(errno => {
      this.#writing.splice(this.#writing.indexOf(range), 1);
      if (errno !== 0) this.failedWrites += 1;
      else if (kind === 'write') buffer.copy(this.model, offset);
      else this.model.fill(0, offset, offset + length);
    });
  }

  /** Ends the job, if it has not, and waits for everything in flight. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.job?.cancelIfRunning();
    await this.until(() => this.isQuiet && this.job?.status === 'concluded', { writes: false });
    this.guest[Symbol.dispose]();
    await this.graph[Symbol.asyncDispose]();
  }
}
