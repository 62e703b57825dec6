/**
 * RawNbdClient: speaks NBD byte by byte, so that a test can say what no proper client would.
 *
 * Its messages are put together here from the specification, not by the codecs that are under test.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connectTls } from '../../src/nbd/tls/connect-tls.ts';
import type { TlsCredentials } from '../../src/nbd/tls/tls-credentials.ts';

/** A unix socket's path, or a TCP address. */
export type RawTarget = string | { readonly host: string; readonly port: number };

export class RawNbdClient implements Disposable {
  readonly socket: Socket;
  /** A read that gets nothing for so long fails. */
  patienceMs = 5000;
  #chunks: Buffer[] = [];
  #received = 0;
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', chunk => {
      this.#chunks.push(chunk);
      this.#received += chunk.length;
      this.#wake();
    });
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  static async connect(target: RawTarget): Promise<RawNbdClient> {
    const address = typeof target === 'string' ? { path: target } : target;
    const socket = connect({ ...address, allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawNbdClient(socket);
  }

  /** Connects and completes a handshake with NBD_OPT_GO. */
  static async attach(target: RawTarget, exportName: string, wanted: Wanted = {}): Promise<RawNbdClient> {
    const client = await RawNbdClient.connect(target);
    await client.read(18);
    client.send(u32(3));
    if (wanted.structured === true) await client.haggle(OPT.STRUCTURED_REPLY);
    if (wanted.contexts !== undefined) {
      const queries = wanted.contexts.map(counted);
      await client.haggle(OPT.SET_META_CONTEXT, counted(exportName), u32(queries.length), ...queries);
    }
    const replies = await client.haggle(OPT.GO, infoRequest(exportName));
    if (replies.at(-1)?.type !== REP.ACK) throw new Error(`The server refused the export '${exportName}'`);
    return client;
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next `bytes`; throws where the server ends before or stays silent. */
  async read(bytes: number): Promise<Buffer> {
    while (this.#received < bytes) {
      if (this.#ended) throw new Error(`The server ended after ${this.#received} of ${bytes} bytes`);
      await this.#news(`${bytes} bytes`);
    }
    const received = this.#take();
    this.#chunks = [received.subarray(bytes)];
    this.#received = received.length - bytes;
    return received.subarray(0, bytes);
  }

  /** Waits for the server to end the connection; gives what it sent before. */
  async readToEnd(): Promise<Buffer> {
    while (!this.#ended) await this.#news('the end of the connection');
    return this.#take();
  }

  /** Sends an option and reads its replies up to the last one. */
  async haggle(number: number, ...data: readonly Buffer[]): Promise<OptionReply[]> {
    this.send(option(number, ...data));
    const replies: OptionReply[] = [];
    for (;;) {
      const header = await this.read(20);
      const reply = { option: header.readUInt32BE(8), type: header.readUInt32BE(12), data: Buffer.alloc(0) as Buffer };
      reply.data = await this.read(header.readUInt32BE(16));
      replies.push(reply);
      if (reply.type === REP.ACK || reply.type >= 0x80000000) return replies;
    }
  }

  /** Sends STARTTLS and gives the encrypted client to go on with, once the server has agreed. */
  async startTls(credentials: TlsCredentials, hostname: string | null = null): Promise<RawNbdClient> {
    const [reply] = await this.haggle(OPT.STARTTLS);
    if (reply?.type !== REP.ACK) throw new Error('The server refused to start TLS');
    return this.encrypt(credentials, hostname);
  }

  /** Starts TLS without asking. */
  async encrypt(credentials: TlsCredentials, hostname: string | null = null): Promise<RawNbdClient> {
    this.socket.removeAllListeners('data');
    return new RawNbdClient(await connectTls(this.socket, credentials, hostname));
  }

  /** Reads a simple reply's error and cookie. */
  async simpleReply(): Promise<{ readonly error: number; readonly cookie: number }> {
    const reply = await this.read(16);
    if (reply.readUInt32BE(0) !== 0x67446698) throw new Error(`Not a simple reply: ${reply.toString('hex')}`);
    return { error: reply.readUInt32BE(4), cookie: Number(reply.readBigUInt64BE(8)) };
  }

  /** Reads a chunk of a structured reply. */
  async chunk(): Promise<Chunk> {
    const header = await this.read(20);
    if (header.readUInt32BE(0) !== 0x668e33ef) throw new Error(`Not a chunk: ${header.toString('hex')}`);
    return {
      flags: header.readUInt16BE(4),
      type: header.readUInt16BE(6),
      cookie: Number(header.readBigUInt64BE(8)),
      payload: await this.read(header.readUInt32BE(16)),
    };
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  /** All that has come and was not read, in one piece. */
  #take(): Buffer {
    return this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
  }

  async #news(what: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve;
      const late = `Waited ${this.patienceMs} ms in vain for ${what}`;
      timer = setTimeout(() => reject(new Error(late)), this.patienceMs);
    }).finally(() => clearTimeout(timer));
  }
}

export type Wanted = { readonly structured?: boolean; readonly contexts?: readonly string[] };
export type OptionReply = { readonly option: number; readonly type: number; readonly data: Buffer };
export type Chunk = {
  readonly flags: number;
  readonly type: number;
  readonly cookie: number;
  readonly payload: Buffer;
};

export const OPT = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const;

export const REP = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x80000001,
  ERR_POLICY: 0x80000002,
  ERR_INVALID: 0x80000003,
  ERR_TLS_REQD: 0x80000005,
  ERR_UNKNOWN: 0x80000006,
  ERR_SHUTDOWN: 0x80000007,
  ERR_BLOCK_SIZE_REQD: 0x80000008,
  ERR_EXT_HEADER_REQD: 0x8000000a,
} as const;

export const CMD = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
} as const;

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/** A u32 length and the string. */
export function counted(text: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
}

/** The data of INFO or GO. */
export function infoRequest(exportName: string, ...infos: readonly number[]): Buffer {
  return Buffer.concat([counted(exportName), u16(infos.length), ...infos.map(u16)]);
}

export function option(number: number, ...data: readonly Buffer[]): Buffer {
  const body = Buffer.concat(data);
  return Buffer.concat([Buffer.from('IHAVEOPT'), u32(number), u32(body.length), body]);
}

export type RawRequest = {
  readonly type: number;
  readonly cookie?: number;
  readonly offset?: number | bigint;
  readonly length?: number;
  readonly flags?: number;
  readonly payload?: Buffer;
};

export function request(fields: RawRequest): Buffer {
  const { type, cookie = 0, offset = 0, length = fields.payload?.length ?? 0, flags = 0 } = fields;
  const header = Buffer.alloc(28);
  header.writeUInt32BE(0x25609513, 0);
  header.writeUInt16BE(flags, 4);
  header.writeUInt16BE(type, 6);
  header.writeBigUInt64BE(BigInt(cookie), 8);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(length, 24);
  return Buffer.concat([header, fields.payload ?? Buffer.alloc(0)]);
}
