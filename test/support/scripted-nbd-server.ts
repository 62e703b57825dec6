/**
 * ScriptedNbdServer: an NBD server that does exactly what a test says, right or wrong.
 *
 * The script of a connection reads what the client sends and writes what it likes. `cutAfter` ends each connection once
 * that many bytes went out, at whatever place of the protocol that is.
 */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as wire from '../../src/nbd/protocol/constants.ts';
import { encodeGreeting, GREETING_BYTES } from '../../src/nbd/protocol/greeting.ts';
import { encodeInfoReply } from '../../src/nbd/protocol/info-reply.ts';
import { encodeMetaContext } from '../../src/nbd/protocol/meta-context.ts';
import { decodeOptionHeader, OPTION_HEADER_BYTES } from '../../src/nbd/protocol/option.ts';
import { encodeOptionReply } from '../../src/nbd/protocol/option-reply.ts';
import {
  blankRequestHeader,
  decodeRequest,
  REQUEST_BYTES,
  type RequestHeader,
} from '../../src/nbd/protocol/request.ts';
import { encodeSimpleReply, SIMPLE_REPLY_BYTES } from '../../src/nbd/protocol/simple-reply.ts';

export const ALL_FLAGS = 0xd6d;
export const ALLOCATION_CONTEXT = 5;

const NO_DATA = Buffer.alloc(0);

export type Script = (peer: ScriptedPeer) => Promise<void>;

/** One connection, seen from the server. */
export class ScriptedPeer {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #unread: Buffer = NO_DATA;
  #bytesLeft: number;

  constructor(socket: Socket, cutAfter: number) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#bytesLeft = cutAfter;
  }

  /** The next `bytes` bytes of the client; throws where it sends no more. */
  async read(bytes: number): Promise<Buffer> {
    const pieces = [this.#unread];
    for (let total = this.#unread.length; total < bytes; ) {
      const next = await this.#chunks.next();
      if (next.done === true) throw new Error('The client sends no more');
      pieces.push(next.value);
      total += next.value.length;
    }
    const all = Buffer.concat(pieces);
    this.#unread = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  write(bytes: Buffer): void {
    if (bytes.length < this.#bytesLeft) {
      this.#bytesLeft -= bytes.length;
      this.#socket.write(bytes);
    } else {
      this.#socket.end(bytes.subarray(0, this.#bytesLeft));
      this.#bytesLeft = 0;
    }
  }

  end(): void {
    this.#socket.end();
  }

  /** Greets and answers options until the client enters transmission; `sizeBytes` and `flags` are the export's. */
  async handshake(sizeBytes: number, flags: number = ALL_FLAGS, structured = true): Promise<void> {
    const greeting = Buffer.alloc(GREETING_BYTES);
    encodeGreeting(greeting, 0, wire.NBD_FLAG_FIXED_NEWSTYLE | wire.NBD_FLAG_NO_ZEROES);
    this.write(greeting);
    await this.read(4);
    for (;;) {
      const { option, length } = decodeOptionHeader(await this.read(OPTION_HEADER_BYTES), 0);
      await this.read(length);
      if (option === wire.NBD_OPT_STRUCTURED_REPLY) {
        this.reply(option, structured ? wire.NBD_REP_ACK : wire.NBD_REP_ERR_UNSUP);
      } else if (option === wire.NBD_OPT_SET_META_CONTEXT) {
        const context = encodeMetaContext({ id: ALLOCATION_CONTEXT, name: wire.BASE_ALLOCATION });
        this.reply(option, wire.NBD_REP_META_CONTEXT, context);
        this.reply(option, wire.NBD_REP_ACK);
      } else if (option === wire.NBD_OPT_GO) {
        this.reply(option, wire.NBD_REP_INFO, encodeInfoReply({ kind: 'export', sizeBytes, flags }));
        this.reply(option, wire.NBD_REP_ACK);
        return;
      } else {
        this.reply(option, wire.NBD_REP_ERR_UNSUP);
      }
    }
  }

  reply(option: number, type: number, data: Buffer = NO_DATA): void {
    this.write(encodeOptionReply(option, type, data));
  }

  /** The next command, with the data of a write. */
  async command(): Promise<{ readonly header: RequestHeader; readonly data: Buffer }> {
    const header = blankRequestHeader();
    decodeRequest(await this.read(REQUEST_BYTES), 0, header);
    return { header, data: header.type === wire.NBD_CMD_WRITE ? await this.read(header.length) : NO_DATA };
  }

  /** Answers a command with a simple reply. */
  answer(header: RequestHeader, error = 0, data: Buffer = NO_DATA): void {
    const reply = Buffer.alloc(SIMPLE_REPLY_BYTES);
    encodeSimpleReply(reply, 0, error, header.cookieHigh, header.cookieLow);
    this.write(Buffer.concat([reply, data]));
  }
}

/** Greets, then lets `answer` reply to each option. */
export function haggling(answer: (peer: ScriptedPeer, option: number) => void): Script {
  return async peer => {
    const greeting = Buffer.alloc(GREETING_BYTES);
    encodeGreeting(greeting, 0, wire.NBD_FLAG_FIXED_NEWSTYLE | wire.NBD_FLAG_NO_ZEROES);
    peer.write(greeting);
    await peer.read(4);
    for (;;) {
      const { option, length } = decodeOptionHeader(await peer.read(OPTION_HEADER_BYTES), 0);
      await peer.read(length);
      answer(peer, option);
    }
  };
}

export class ScriptedNbdServer implements AsyncDisposable {
  readonly socket: string;
  /** Bytes after which a connection made from now on is cut. */
  cutAfter: number = Number.POSITIVE_INFINITY;
  readonly #directory: string;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(directory: string, script: Script) {
    this.#directory = directory;
    this.socket = join(directory, 'socket');
    this.#listener = createServer(socket => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
      // A script ends with an exception where the client leaves, which is often what the test is about.
      script(new ScriptedPeer(socket, this.cutAfter)).catch(() => {});
    });
  }

  static async start(script: Script): Promise<ScriptedNbdServer> {
    const server = new ScriptedNbdServer(await mkdtemp(join(tmpdir(), 'colobus-script-')), script);
    server.#listener.listen(server.socket);
    await once(server.#listener, 'listening');
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#listener.close();
    await once(this.#listener, 'close');
    await rm(this.#directory, { recursive: true, force: true });
  }
}
