/**
 * SimulatedDisk: a disk in memory whose requests move when a test says so, in any order, and half at a time.
 *
 * A read or write takes two steps, one for each half of its range, so that a reader can see half of a write. A request
 * can be made to fail. Requests in flight have no order, as on a real disk.
 */

import * as z from 'zod';
import { BlockNode, DEFAULT_LIMITS, type NodeLimits } from '../block/block-node.ts';
import type { BlockRequest } from '../block/block-request.ts';
import type { Driver } from '../block/driver.ts';

type Operation = { readonly request: BlockRequest; halves: number };

export class SimulatedDisk extends BlockNode {
  readonly bytes: Buffer;
  /** How many wait for its requests in a hurry. */
  hurries = 0;
  readonly #operations: Operation[] = [];

  constructor(name: string, bytes: Buffer, limits: NodeLimits = DEFAULT_LIMITS) {
    super({ name, driver: 'simulated', lengthBytes: bytes.length, readOnly: false, limits });
    this.bytes = bytes;
  }

  /** The requests that wait for a step, in the order they came. */
  get waiting(): readonly BlockRequest[] {
    return this.#operations.map(operation => operation.request);
  }

  protected override perform(request: BlockRequest): void {
    this.#operations.push({ request, halves: 0 });
  }

  override beginHurry(): void {
    this.hurries += 1;
  }

  override endHurry(): void {
    this.hurries -= 1;
  }

  /** Moves the operation at `index` (taken modulo their number) by one step, or completes it with `errno`. */
  step(index: number, errno: number = 0): void {
    const count = this.#operations.length;
    if (count === 0) return;
    const at = index % count;
    const operation = this.#operations[at] as Operation;
    const { request } = operation;
    const isData = request.kind !== 'flush' && request.kind !== 'cache' && request.kind !== 'block-status';
    if (errno === 0 && isData && operation.halves < 2) {
      this.#moveHalf(request, operation.halves);
      operation.halves += 1;
      if (operation.halves < 2) return;
    }
    this.#operations.splice(at, 1);
    if (errno === 0 && request.kind === 'block-status') request.extents?.append(request.length, 0);
    request.complete(errno);
  }

  /** Steps until nothing waits. */
  settle(): void {
    while (this.#operations.length > 0) this.step(0);
  }

  /** The connection is gone: everything that waits fails, and the node says so first. */
  lose(reason: string, errno: number): void {
    this.fail(reason);
    while (this.#operations.length > 0) this.step(0, errno);
  }

  #moveHalf(request: BlockRequest, half: number): void {
    const middle = Math.ceil(request.length / 2);
    const from = half === 0 ? 0 : middle;
    const to = half === 0 ? middle : request.length;
    const start = request.offset + from;
    const end = request.offset + to;
    if (request.kind === 'read') this.bytes.copy(request.buffer, request.at + from, start, end);
    else if (request.kind === 'write') request.buffer.copy(this.bytes, start, request.at + from, request.at + to);
    else this.bytes.fill(0, start, end);
  }
}

/** Opens SimulatedDisks over the memory in `disks`, by node-name. */
export function simulatedDriver(disks: Map<string, Buffer>, limits?: NodeLimits): Driver {
  return {
    name: 'simulated',
    summary: 'a disk whose requests move when a test says so',
    options: z.strictObject({}),
    open: async (_options, context) =>
      new SimulatedDisk(context.nodeName, disks.get(context.nodeName) ?? Buffer.alloc(0), limits),
  };
}
