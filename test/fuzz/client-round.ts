/** One life of a client with a server that keeps the protocol, or lies once. */

import { setTimeout } from 'node:timers/promises';
import { ColobusError, ProtocolError, UsageError } from '../../src/base/errors.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { CMD } from '../support/raw-nbd-client.ts';
import { ScriptedNbdServer } from '../support/scripted-nbd-server.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { FuzzFailure } from './answer-reader.ts';
import { LyingServer } from './lying-server.ts';

const DEADLINE_MS = 10_000;
const OPEN_TIMEOUT_MS = 1000;
const REQUEST_TIMEOUT_MS = 1000;
const MAX_OPERATIONS = 60;

type Operation = {
  readonly type: number;
  readonly offset: number;
  readonly length: number;
  readonly done: Promise<void>;
  isOver: boolean;
};

export class ClientFuzzer implements AsyncDisposable {
  /** Runs the life of `seed`. Throws FuzzFailure where the client hangs, lies itself or does not notice a lie. */
  async round(seed: number): Promise<void> {
    const random = new SeededRandom(seed);
    const server = new LyingServer(random, random.below(2) === 0);
    await using scripted = await ScriptedNbdServer.start(peer => server.serve(peer));
    const life = new ClientLife(random, server, scripted.socket);
    const late = setTimeout(DEADLINE_MS, 'late', { ref: false });
    if ((await Promise.race([life.live(), late])) === 'late') {
      throw new FuzzFailure(`The client hangs: ${life.unfinished}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class ClientLife {
  readonly #random: SeededRandom;
  readonly #server: LyingServer;
  readonly #path: string;
  #operations: Operation[] = [];
  #failure: FuzzFailure | null = null;

  constructor(random: SeededRandom, server: LyingServer, path: string) {
    this.#random = random;
    this.#server = server;
    this.#path = path;
  }

  get unfinished(): string {
    return this.#operations
      .filter(({ isOver }) => !isOver)
      .map(({ type, offset, length }) => `command ${type} at ${offset} + ${length}`)
      .join(', ');
  }

  async live(): Promise<void> {
    const client = await this.#connect();
    if (client === null) return;
    try {
      for (let left = this.#random.below(MAX_OPERATIONS); left > 0 && this.#failure === null; left--) {
        await this.#begin(client);
      }
      await Promise.all(this.#operations.map(({ done }) => done));
    } finally {
      await client.close();
    }
    if (this.#failure !== null) throw this.#failure;
  }

  async #connect(): Promise<NbdClient | null> {
    try {
      return await NbdClient.connect({
        address: { kind: 'unix', path: this.#path },
        exportName: 'disk',
        openTimeoutMs: OPEN_TIMEOUT_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        flushTimeoutMs: REQUEST_TIMEOUT_MS,
      });
    } catch (error) {
      if (!(error instanceof ColobusError)) throw error;
      if (!this.#server.hasLied)
        throw new FuzzFailure(`An honest server was refused: ${error.message}`, { cause: error });
      return null;
    }
  }

  /** Starts an operation beside those on their way, none of which touches the same bytes. */
  async #begin(client: NbdClient): Promise<void> {
    const random = this.#random;
    const { minBlockBytes } = client.info;
    const sizeBytes = Math.min(client.sizeBytes, this.#server.disk.length);
    const aligned = (value: number): number => value - (value % minBlockBytes);
    const offset = aligned(random.below(sizeBytes + 1));
    const length = aligned(Math.min(sizeBytes - offset, random.below(random.pick([2, 5000, 40_000]))));
    const type = random.pick([CMD.READ, CMD.READ, CMD.WRITE, CMD.WRITE, CMD.FLUSH, CMD.TRIM, 5, 6, CMD.BLOCK_STATUS]);
    if (this.#operations.some(other => !other.isOver && touches(other, offset, length))) {
      await Promise.all(this.#operations.map(({ done }) => done));
    }
    this.#operations = this.#operations.filter(({ isOver }) => !isOver);
    const operation: Operation = { type, offset, length, isOver: false, done: Promise.resolve() };
    const injectedBefore = this.#server.injected.length;
    const done = this.#perform(client, operation).then(
      () => this.#succeeded(operation, injectedBefore),
      error => this.#failed(operation, injectedBefore, error),
    );
    this.#operations.push(Object.assign(operation, { done: done.finally(() => (operation.isOver = true)) }));
    if (random.below(5) === 0) await done;
  }

  async #perform(client: NbdClient, { type, offset, length }: Operation): Promise<void> {
    const random = this.#random;
    const { disk } = this.#server;
    const fua = random.below(4) === 0;
    switch (type) {
      case CMD.READ: {
        const data = await client.read(offset, length);
        this.#expect(
          data.equals(disk.subarray(offset, offset + length)),
          `A read at ${offset} + ${length} got wrong data`,
        );
        return;
      }
      case CMD.WRITE: {
        const data = random.bytes(length);
        await client.write(offset, data, { fua });
        this.#expect(
          data.equals(disk.subarray(offset, offset + length)),
          `A write at ${offset} + ${length} did not arrive`,
        );
        return;
      }
      case CMD.FLUSH:
        return await client.flush();
      case CMD.TRIM:
        return await client.trim(offset, length);
      case CMD.WRITE_ZEROES:
        await client.writeZeroes(offset, length, { fua, mayUnmap: random.below(2) === 0 });
        this.#expect(
          disk.subarray(offset, offset + length).every(byte => byte === 0),
          'Zeroes did not arrive',
        );
        return;
      case CMD.BLOCK_STATUS:
        return await this.#blockStatus(client, offset, length);
      default:
        return await client.cache(offset, length);
    }
  }

  async #blockStatus(client: NbdClient, offset: number, length: number): Promise<void> {
    const extents = await client.blockStatus(offset, length);
    let at = offset;
    for (const extent of extents) {
      this.#expect(extent.offset === at && extent.length > 0, 'Extents leave gaps');
      const bytes = this.#server.disk.subarray(at, at + extent.length);
      const isRight = !extent.zero || bytes.every(byte => byte === 0);
      this.#expect(isRight || this.#server.hasLied, 'An extent has the wrong status');
      at += extent.length;
    }
    this.#expect(at === offset + length, 'Extents do not cover the range');
  }

  #succeeded(operation: Operation, injectedBefore: number): void {
    const failed = this.#errorsOf(operation, injectedBefore);
    this.#expect(failed === 0, `The error of a command ${operation.type} was not reported`);
  }

  #failed(operation: Operation, injectedBefore: number, error: unknown): void {
    const { type, offset, length } = operation;
    const what = `command ${type} at ${offset} + ${length}`;
    if (error instanceof FuzzFailure) this.#failure ??= error;
    else if (!(error instanceof ColobusError)) this.#failure ??= new FuzzFailure(`${what} threw`, { cause: error });
    else if (!this.#server.hasLied && (error instanceof ProtocolError || error instanceof UsageError)) {
      this.#failure ??= new FuzzFailure(`An honest answer to ${what} was refused: ${error.message}`);
    } else if (!this.#server.hasLied && this.#errorsOf(operation, injectedBefore) === 0) {
      this.#failure ??= new FuzzFailure(`${what} failed without an error of the server: ${error.message}`);
    }
  }

  #errorsOf(operation: Operation, injectedBefore: number): number {
    const since = this.#server.injected.slice(injectedBefore);
    return since.filter(({ offset, length }) => touches(operation, offset, length)).length;
  }

  #expect(holds: boolean, what: string): void {
    if (!holds) throw new FuzzFailure(what);
  }
}

function touches(one: { readonly offset: number; readonly length: number }, offset: number, length: number): boolean {
  return one.offset < offset + length && offset < one.offset + one.length;
}
