/** One session of a fuzzed client with the server, from connection to the comparison of the disk. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { NbdExport } from '../../src/nbd/server/nbd-export.ts';
import { NbdServer } from '../../src/nbd/server/nbd-server.ts';
import { CMD, RawNbdClient, request } from '../support/raw-nbd-client.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { AnswerReader, FuzzFailure } from './answer-reader.ts';
import { type ExportModel, randomExport } from './export-model.ts';
import { FuzzNode } from './fuzz-node.ts';
import { type Foretold, foretell } from './reference-server.ts';
import { randomSession } from './session-generator.ts';

/** A server that has not done its part by then hangs. */
const DEADLINE_MS = 10_000;
const WITNESS = 'witness';

export class ServerFuzzer implements AsyncDisposable {
  readonly #server: NbdServer;
  readonly #folder: TemporaryFolder;
  readonly #path: string;
  readonly #witnessExport: NbdExport;
  readonly #witness: RawNbdClient;
  #rounds = 0;

  private constructor(
    server: NbdServer,
    folder: TemporaryFolder,
    path: string,
    exported: NbdExport,
    witness: RawNbdClient,
  ) {
    this.#server = server;
    this.#folder = folder;
    this.#path = path;
    this.#witnessExport = exported;
    this.#witness = witness;
  }

  /** Starts a server and a witness: a client that works on an export of its own all the time. */
  static async open(receiveMode: 'in-place' | 'copy'): Promise<ServerFuzzer> {
    const folder = await TemporaryFolder.create('memory');
    const path = folder.file('socket');
    const server = await NbdServer.listen({ path }, { receiveMode });
    const random = new SeededRandom(1);
    const model = { ...plainExport(WITNESS), content: random.bytes(4096) };
    const exported = NbdExport.open({
      id: WITNESS,
      name: WITNESS,
      node: new FuzzNode(model, random),
      writable: true,
    });
    server.addExport(exported);
    const witness = await RawNbdClient.attach(path, WITNESS);
    return new ServerFuzzer(server, folder, path, exported, witness);
  }

  /** Runs the session of `seed`. Throws FuzzFailure where the server did something else than foretold. */
  async round(seed: number): Promise<void> {
    const random = new SeededRandom(seed);
    const models = [randomExport('disk', random), randomExport(random.pick(['', 'zweite Platte', 'ö']), random)];
    const nodes = models.map(model => new FuzzNode(model, random));
    const exports = await this.#publish(models, nodes);
    const session = randomSession(models, random);
    const foretold = foretell(session, models);
    const reader = new AnswerReader(foretold);
    const talk = new Talk(connect({ path: this.#path, allowHalfOpen: true }), reader, random);
    const isAbandoned = await withinDeadline(talk.hold(session.bytes, session.barriers, foretold.ending), 'the talk');
    talk.check(foretold, isAbandoned);
    await this.#settled(nodes);
    checkDisk(models, nodes, foretold, isAbandoned);
    await this.#askWitness();
    for (const exported of exports) {
      this.#server.removeExport(exported);
      await exported[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#witness[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
    await this.#witnessExport[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  async #publish(models: readonly ExportModel[], nodes: readonly FuzzNode[]): Promise<NbdExport[]> {
    const exports: NbdExport[] = [];
    for (const [index, { name, description, writable }] of models.entries()) {
      const node = nodes[index] as FuzzNode;
      const exported = NbdExport.open({ id: `e${index}`, name, description, node, writable });
      this.#server.addExport(exported);
      exports.push(exported);
    }
    return exports;
  }

  /** Waits until the server is done with the session. */
  async #settled(nodes: readonly FuzzNode[]): Promise<void> {
    const settled = async (): Promise<void> => {
      while (this.#server.connections > 1 || nodes.some(node => !node.isIdle)) await setImmediate();
    };
    await withinDeadline(settled(), 'the end of the connection on the server');
  }

  /** The other client's connection works on. */
  async #askWitness(): Promise<void> {
    this.#rounds += 1;
    const payload = Buffer.alloc(8, this.#rounds);
    this.#witness.send(request({ type: CMD.WRITE, cookie: 1, offset: 8, payload }));
    const written = await this.#witness.simpleReply();
    this.#witness.send(request({ type: CMD.READ, cookie: 2, offset: 8, length: 8 }));
    const read = await this.#witness.simpleReply();
    const data = await this.#witness.read(8);
    if (written.error !== 0 || read.error !== 0 || !data.equals(payload)) {
      throw new FuzzFailure('Another client of the server was disturbed');
    }
  }
}

/** The client's side: sends in random pieces, reads, and waits where the session says so. */
class Talk {
  readonly #socket: Socket;
  readonly #reader: AnswerReader;
  readonly #random: SeededRandom;
  #failure: FuzzFailure | null = null;
  #isOver = false;
  #wake: () => void = () => {};

  constructor(socket: Socket, reader: AnswerReader, random: SeededRandom) {
    this.#socket = socket;
    this.#reader = reader;
    this.#random = random;
    socket.on('error', () => this.#end());
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
  }

  /** Holds the session; true where the client left before its end. */
  async hold(bytes: Buffer, barriers: readonly number[], ending: Foretold['ending']): Promise<boolean> {
    await once(this.#socket, 'connect');
    const checks = !this.#reader.isAmbiguous;
    this.#socket.on('data', chunk => this.#received(chunk, checks));
    const leavesAfter = this.#random.below(8) === 0 ? this.#random.below(bytes.length + 1) : Number.POSITIVE_INFINITY;
    let at = 0;
    for (const barrier of barriers) {
      while (at < barrier && !this.#isOver) {
        const bytesNow = Math.min(barrier - at, this.#pieceBytes());
        this.#socket.write(bytes.subarray(at, at + bytesNow));
        at += bytesNow;
        if (this.#random.below(4) === 0) await setImmediate();
        if (at >= leavesAfter) {
          this.#socket.destroy();
          return true;
        }
      }
      while (checks && ending !== 'cut' && !this.#isOver && !this.#reader.hasAll(barrier)) await this.#news();
    }
    this.#socket.end();
    while (!this.#isOver) await this.#news();
    this.#socket.destroy();
    return false;
  }

  /** Throws what went wrong, or that something is missing. */
  check(foretold: Foretold, isAbandoned: boolean): void {
    if (this.#failure !== null) throw this.#failure;
    if (isAbandoned || foretold.ending === 'cut' || this.#reader.isAmbiguous) return;
    if (!this.#reader.hasAll(Number.POSITIVE_INFINITY)) {
      throw new FuzzFailure(`The server ended without ${this.#reader.missing} (${foretold.ending})`);
    }
  }

  #pieceBytes(): number {
    return this.#random.pick([1, 3, 27, 28, 29, 500, 5000, 70_000, 1_000_000]);
  }

  #received(chunk: Buffer, checks: boolean): void {
    try {
      if (checks) this.#reader.feed(chunk);
    } catch (error) {
      if (!(error instanceof FuzzFailure)) throw error;
      this.#failure ??= error;
      this.#socket.destroy();
    }
    this.#wake();
  }

  #end(): void {
    this.#isOver = true;
    this.#wake();
  }

  #news(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }
}

/** Compares what reached the disks with what was foretold. */
function checkDisk(
  models: readonly ExportModel[],
  nodes: readonly FuzzNode[],
  foretold: Foretold,
  isAbandoned: boolean,
): void {
  for (const [index, model] of models.entries()) {
    const node = nodes[index] as FuzzNode;
    const expected = model === foretold.target ? foretold.changes : [];
    // Who leaves early or is cut off may have had less done than it asked for, but in order and nothing else.
    const reached = isAbandoned || foretold.ending === 'cut' ? expected.slice(0, node.changes.length) : expected;
    if (node.changes.join('\n') !== reached.join('\n')) {
      throw new FuzzFailure(`The disk saw [${node.changes.join(', ')}], not [${reached.join(', ')}]`);
    }
    if (reached.length < expected.length) continue;
    const content = model === foretold.target && foretold.content !== null ? foretold.content : model.content;
    if (!node.content.equals(content)) throw new FuzzFailure(`The content of '${model.name}' is wrong`);
  }
}

async function withinDeadline<Result>(work: Promise<Result>, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new FuzzFailure(`Waited ${DEADLINE_MS} ms in vain for ${what}`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function plainExport(name: string): ExportModel {
  const size = { sizeBytes: 4096, badStart: 4096, badEnd: 4096, content: Buffer.alloc(4096) };
  return { name, description: '', writable: true, fastZeroes: false, alignment: 1, ...size };
}
