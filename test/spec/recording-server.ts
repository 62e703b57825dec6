/** RecordingServer: an honest NBD server, put together from the specification, that notes all that a client sends. */

import { CMD, OPT, REP, u16, u32 } from '../support/raw-nbd-client.ts';
import { ScriptedNbdServer, type ScriptedPeer } from '../support/scripted-nbd-server.ts';

export type RecordingOptions = {
  readonly sizeBytes?: number;
  readonly greetingFlags?: number;
  readonly exportFlags?: number;
  /** Minimum, preferred, maximum; none are told unless given. */
  readonly blockSizes?: readonly [number, number, number];
  /** The best replies that it has; `simple` unless given. */
  readonly replies?: 'simple' | 'structured' | 'extended';
  /** Options that it answers with an error of this type. */
  readonly refused?: Readonly<Record<number, number>>;
  /** The error that answers commands of a type. */
  readonly errors?: Readonly<Record<number, number>>;
  /** Sends an answer its own way; true where it did. */
  readonly answer?: (peer: ScriptedPeer, command: RecordedCommand) => boolean;
};

export type RecordedOption = { readonly number: number; readonly data: Buffer };
export type RecordedCommand = {
  readonly isExtended: boolean;
  readonly flags: number;
  readonly type: number;
  readonly cookie: Buffer;
  readonly offset: number;
  readonly length: number;
  readonly payload: Buffer;
};

const CONTEXT_ID = 0x5eed;
const FIXED_AND_NO_ZEROES = 3;
/** HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, MULTI_CONN, CACHE, FAST_ZERO. */
export const EVERYTHING = 0xd6d;
export const NOTHING = 1;

export class RecordingServer implements AsyncDisposable {
  readonly clientFlags: number[] = [];
  readonly options: RecordedOption[] = [];
  readonly commands: RecordedCommand[] = [];
  /** Bytes that came after a goodbye, or -1 before one. */
  afterGoodbye = -1;
  /** Connections accepted. */
  connections = 0;
  /** How many connections ended without a goodbye. */
  hardEnds = 0;
  readonly #options: RecordingOptions;
  #listener: ScriptedNbdServer | null = null;
  #ends: Promise<void>[] = [];

  private constructor(options: RecordingOptions) {
    this.#options = options;
  }

  static async start(options: RecordingOptions = {}): Promise<RecordingServer> {
    const server = new RecordingServer(options);
    server.#listener = await ScriptedNbdServer.start(peer => {
      const end = server.#serve(peer);
      server.#ends.push(end);
      return end;
    });
    return server;
  }

  get socket(): string {
    return this.#listener?.socket ?? '';
  }

  get address(): { readonly kind: 'unix'; readonly path: string } {
    return { kind: 'unix', path: this.socket };
  }

  /** Resolves when all connections have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#ends);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
  }

  async #serve(peer: ScriptedPeer): Promise<void> {
    this.connections += 1;
    const connection = new RecordedConnection(this, peer, this.#options);
    try {
      await connection.serve();
      this.afterGoodbye = 0;
      await peer.read(1);
      this.afterGoodbye = 1;
    } catch {
      if (!connection.saidGoodbye) this.hardEnds += 1;
    }
    peer.end();
  }
}

class RecordedConnection {
  saidGoodbye = false;
  readonly #record: RecordingServer;
  readonly #peer: ScriptedPeer;
  readonly #options: RecordingOptions;
  readonly #size: number;
  #replies: 'simple' | 'structured' | 'extended' = 'simple';

  constructor(record: RecordingServer, peer: ScriptedPeer, options: RecordingOptions) {
    this.#record = record;
    this.#peer = peer;
    this.#options = options;
    this.#size = options.sizeBytes ?? 1024 * 1024;
  }

  async serve(): Promise<void> {
    const { greetingFlags = FIXED_AND_NO_ZEROES } = this.#options;
    this.#peer.write(Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), u16(greetingFlags)]));
    this.#record.clientFlags.push((await this.#peer.read(4)).readUInt32BE(0));
    while (!(await this.#option()));
    while (!this.saidGoodbye) await this.#command();
  }

  /** Takes an option; true where transmission begins, or the client takes its leave. */
  async #option(): Promise<boolean> {
    const { exportFlags = EVERYTHING, blockSizes, refused = {}, replies: best = 'simple' } = this.#options;
    const header = await this.#peer.read(16);
    const number = header.readUInt32BE(8);
    const data = await this.#peer.read(header.readUInt32BE(12));
    this.#record.options.push({ number, data });
    const reply = (type: number, body: Buffer = Buffer.alloc(0)): void => {
      const magic = Buffer.from('0003e889045565a9', 'hex');
      this.#peer.write(Buffer.concat([magic, u32(number), u32(type), u32(body.length), body]));
    };
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(this.#size));
    const flags = u16(exportFlags | (this.#replies === 'simple' ? 0 : 0x80));
    const refusal = refused[number];
    if (number === OPT.ABORT) {
      reply(REP.ACK);
      this.saidGoodbye = true;
      return true;
    }
    if (refusal !== undefined) reply(refusal, Buffer.from('no'));
    else if (number === OPT.EXPORT_NAME) {
      const zeroes = Buffer.alloc(((this.#record.clientFlags.at(-1) ?? 0) & 2) !== 0 ? 0 : 124);
      this.#peer.write(Buffer.concat([size, flags, zeroes]));
      return true;
    } else if (number === OPT.GO || number === OPT.INFO) {
      reply(REP.INFO, Buffer.concat([u16(99), Buffer.from('from the future')]));
      if (blockSizes !== undefined) reply(REP.INFO, Buffer.concat([u16(3), ...blockSizes.map(u32)]));
      reply(REP.INFO, Buffer.concat([u16(0), size, flags]));
      reply(REP.ACK);
      return number === OPT.GO;
    } else if (number === OPT.LIST) {
      reply(REP.ACK);
    } else if (number === OPT.EXTENDED_HEADERS && best === 'extended') {
      this.#replies = 'extended';
      reply(REP.ACK);
    } else if (number === OPT.STRUCTURED_REPLY && best !== 'simple') {
      this.#replies = 'structured';
      reply(REP.ACK);
    } else if (number === OPT.SET_META_CONTEXT) {
      if (data.includes('base:allocation')) {
        reply(REP.META_CONTEXT, Buffer.concat([u32(CONTEXT_ID), Buffer.from('base:allocation')]));
      }
      reply(REP.ACK);
    } else if (number === OPT.LIST_META_CONTEXT) {
      reply(REP.META_CONTEXT, Buffer.concat([u32(0xdead), Buffer.from('base:allocation')]));
      reply(REP.ACK);
    } else {
      reply(REP.ERR_UNSUP);
    }
    return false;
  }

  async #command(): Promise<void> {
    const isExtended = this.#replies === 'extended';
    const header = await this.#peer.read(isExtended ? 32 : 28);
    const expectedMagic = isExtended ? 0x21e41c71 : 0x25609513;
    if (header.readUInt32BE(0) !== expectedMagic) throw new Error('A request has the wrong magic');
    const flags = header.readUInt16BE(4);
    const type = header.readUInt16BE(6);
    const length = isExtended ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(24);
    const hasPayload = isExtended ? (flags & 32) !== 0 : type === CMD.WRITE;
    const command: RecordedCommand = {
      isExtended,
      flags,
      type,
      cookie: Buffer.from(header.subarray(8, 16)),
      offset: Number(header.readBigUInt64BE(16)),
      length,
      payload: hasPayload ? await this.#peer.read(length) : Buffer.alloc(0),
    };
    this.#record.commands.push(command);
    if (type === CMD.DISC) this.saidGoodbye = true;
    else if (this.#options.answer?.(this.#peer, command) !== true) this.#answer(command);
  }

  #answer(command: RecordedCommand): void {
    const { type, offset, length } = command;
    const error = this.#options.errors?.[type] ?? 0;
    if (this.#replies === 'simple') {
      const data = Buffer.alloc(error === 0 && type === CMD.READ ? length : 0);
      this.#peer.write(Buffer.concat([u32(0x67446698), u32(error), command.cookie, data]));
    } else if (error !== 0) {
      this.#peer.write(chunk(command, 0x8001, Buffer.concat([u32(error), u16(0)])));
    } else if (type === CMD.READ) {
      this.#peer.write(chunk(command, 2, Buffer.concat([u64(offset), u32(length)])));
    } else if (type === CMD.BLOCK_STATUS) {
      this.#peer.write(chunk(command, 5, Buffer.concat([u32(CONTEXT_ID), u32(length), u32(0xfffffff0)])));
    } else {
      this.#peer.write(chunk(command, 0, Buffer.alloc(0)));
    }
  }
}

/** A last chunk in reply to `command`, with a header of the kind that was negotiated. */
export function chunk(command: RecordedCommand, type: number, payload: Buffer, flags = 1): Buffer {
  const head = [u16(flags), u16(type), command.cookie];
  if (!command.isExtended) return Buffer.concat([u32(0x668e33ef), ...head, u32(payload.length), payload]);
  return Buffer.concat([u32(0x6e8a278c), ...head, u64(command.offset), u64(payload.length), payload]);
}

export function simpleReply(command: RecordedCommand, error: number, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u32(0x67446698), u32(error), command.cookie, data]);
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export { CONTEXT_ID };
