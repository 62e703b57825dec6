/**
 * LyingServer: the other side of a fuzzed client. It keeps the protocol in all the ways it leaves open: with simple,
 * structured or extended replies, in any order, in chunks, with holes, errors and things a client must ignore. Where it lies, it
 * does so once, by changing one message in a place where a client can notice, and leaves soon after.
 *
 * Cookies and data are never changed: no client could tell, and the data would be wrong without its fault.
 */

import { CMD, counted, OPT, REP, u16, u32 } from '../support/raw-nbd-client.ts';
import type { ScriptedPeer } from '../support/scripted-nbd-server.ts';
import type { SeededRandom } from '../support/seeded-random.ts';

const LEAVE_MS = 5;
const CONTEXT_ID = 0xc0ffee;

/** An error that the server answered a command with. */
export type Injected = { readonly type: number; readonly offset: number; readonly length: number };

type Message = {
  readonly bytes: Buffer;
  /** Bytes that may be changed. */
  readonly open: readonly (readonly [from: number, to: number])[];
};

type Command = {
  readonly flags: number;
  readonly type: number;
  readonly cookie: Buffer;
  readonly offset: number;
  readonly length: number;
};

export class LyingServer {
  readonly disk: Buffer;
  readonly injected: Injected[] = [];
  readonly #random: SeededRandom;
  readonly #lies: boolean;
  readonly #flags: number;
  readonly #sizes: readonly [number, number, number] | null;
  readonly #failing: boolean;
  #structured = false;
  /** With it, structured replies are too. */
  #extended = false;
  #messagesUntilLie: number;
  #hasLied = false;
  /** It says nothing more after its lie. */
  #isSilent = false;

  constructor(random: SeededRandom, lies: boolean) {
    this.#random = random;
    this.#lies = lies;
    this.disk = random.bytes(random.pick([4096, 65_536, 200_704]));
    this.disk.fill(0, 512, 2048);
    // HAS_FLAGS, and any of FLUSH, FUA, TRIM, WRITE_ZEROES, CACHE, FAST_ZERO, ROTATIONAL, and one of tomorrow.
    this.#flags = 1 | (random.below(0x10000) & 0x8d7c);
    this.#sizes = random.pick([null, [1, 4096, 0xffffffff], [1, 512, 4096], [512, 4096, 8192], [4096, 4096, 65_536]]);
    this.#failing = random.below(2) === 0;
    this.#messagesUntilLie = random.below(random.pick([3, 10, 60]));
  }

  get hasLied(): boolean {
    return this.#hasLied;
  }

  /** Serves one connection. */
  async serve(peer: ScriptedPeer): Promise<void> {
    const random = this.#random;
    this.#write(peer, open(Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), u16(random.pick([3, 3, 3, 1, 0x13]))])));
    const noZeroes = ((await peer.read(4)).readUInt32BE(0) & 2) !== 0;
    while (!(await this.#option(peer, noZeroes)));
    await this.#transmission(peer);
  }

  /** Answers one option; true where transmission begins. */
  async #option(peer: ScriptedPeer, noZeroes: boolean): Promise<boolean> {
    const random = this.#random;
    const header = await peer.read(16);
    const number = header.readUInt32BE(8);
    const data = await peer.read(header.readUInt32BE(12));
    const reply = (type: number, body: Buffer = Buffer.alloc(0)): void =>
      this.#write(peer, open(optionReply(number, type, body)));
    if (number === OPT.EXPORT_NAME) {
      const zeroes = Buffer.alloc(noZeroes ? 0 : 124);
      this.#write(peer, open(Buffer.concat([u64(this.disk.length), u16(this.#flags), zeroes])));
      return true;
    }
    if (number === OPT.GO && random.below(10) !== 0) {
      const infos = [Buffer.concat([u16(0), u64(this.disk.length), u16(this.#flags | (this.#structured ? 0x80 : 0))])];
      if (this.#sizes !== null) infos.push(Buffer.concat([u16(3), ...this.#sizes.map(u32)]));
      if (random.below(2) === 0) infos.push(Buffer.concat([u16(2), Buffer.from('lies, perhaps')]));
      if (random.below(3) === 0) infos.push(Buffer.concat([u16(77), random.bytes(9)]));
      while (infos.length > 0) reply(REP.INFO, infos.splice(random.below(infos.length), 1)[0]);
      reply(REP.ACK);
      return true;
    }
    if (number === OPT.STRUCTURED_REPLY && random.below(4) !== 0) {
      this.#structured = true;
      reply(REP.ACK);
    } else if (number === OPT.EXTENDED_HEADERS && random.below(2) === 0) {
      this.#structured = true;
      this.#extended = true;
      reply(REP.ACK);
    } else if (number === OPT.SET_META_CONTEXT && random.below(4) !== 0) {
      const name = 'base:allocation';
      if (data.includes(name)) reply(REP.META_CONTEXT, Buffer.concat([u32(CONTEXT_ID), Buffer.from(name)]));
      reply(REP.ACK);
    } else if (number === OPT.ABORT) {
      reply(REP.ACK);
    } else {
      reply(REP.ERR_UNSUP, Buffer.from(random.pick(['', 'Nicht unterstützt'])));
    }
    return false;
  }

  async #transmission(peer: ScriptedPeer): Promise<void> {
    const waiting: Message[][] = [];
    let isAnswering = false;
    const answer = (): void => {
      isAnswering = false;
      for (let left = this.#random.between(1, 5); left > 0 && waiting.length > 0; left--) {
        const index = this.#random.below(waiting.length);
        const messages = waiting[index] as Message[];
        this.#write(peer, messages.shift() as Message);
        if (messages.length === 0) waiting.splice(index, 1);
      }
      schedule();
    };
    const schedule = (): void => {
      if (isAnswering || waiting.length === 0) return;
      isAnswering = true;
      setImmediate(answer);
    };
    for (;;) {
      const header = await peer.read(this.#extended ? 32 : 28);
      const type = header.readUInt16BE(6);
      const command: Command = {
        flags: header.readUInt16BE(4),
        type,
        cookie: header.subarray(8, 16),
        offset: Number(header.readBigUInt64BE(16)),
        length: this.#extended ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(24),
      };
      const data = type === CMD.WRITE ? await peer.read(command.length) : Buffer.alloc(0);
      if (type === CMD.DISC) {
        while (waiting.length > 0) answer();
        peer.end();
        return;
      }
      waiting.push(this.#perform(command, data));
      schedule();
    }
  }

  /** Carries out a command; the messages that answer it. */
  #perform(command: Command, data: Buffer): Message[] {
    const { type, offset, length, cookie } = command;
    if (this.#failing && type !== CMD.FLUSH && this.#random.below(20) === 0) {
      this.injected.push({ type, offset, length });
      return this.#failure(command);
    }
    if (type === CMD.WRITE) data.copy(this.disk, offset);
    if (type === CMD.WRITE_ZEROES || type === CMD.TRIM) this.disk.fill(0, offset, offset + length);
    if (type === CMD.READ) {
      const content = Buffer.from(this.disk.subarray(offset, offset + length));
      if (!this.#structured) return [simpleReply(0, cookie, content)];
      return this.#ended(command, this.#contentChunks(command, content));
    }
    if (type === CMD.BLOCK_STATUS) return this.#ended(command, [this.#statusChunk(command)]);
    if (this.#extended || (this.#structured && this.#random.below(3) === 0)) return this.#ended(command, []);
    return [simpleReply(0, cookie)];
  }

  #failure(command: Command): Message[] {
    const { type, offset, length, cookie } = command;
    const random = this.#random;
    const error = random.pick([1, 5, 12, 22, 28, 75, 95, 4711]);
    const mayBeSimple = !this.#extended && type !== CMD.READ && type !== CMD.BLOCK_STATUS;
    if (!this.#structured || (mayBeSimple && random.below(2) === 0)) return [simpleReply(error, cookie)];
    const text = counted(random.pick(['it broke', '', 'entzweigegangen, größtenteils'])).subarray(2);
    const body = Buffer.concat([u32(error), text]);
    const kind = random.pick([0x8001, 0x8002, 0x8abc]);
    const at = kind === 0x8002 ? u64(offset + random.below(Math.max(1, length))) : Buffer.alloc(0);
    return this.#ended(command, [this.#chunk(command, kind, Buffer.concat([body, at]))]);
  }

  #contentChunks(command: Command, content: Buffer): Message[] {
    const chunks: Message[] = [];
    const { offset } = command;
    const random = this.#random;
    for (let at = 0; at < content.length; ) {
      const bytes = Math.min(content.length - at, random.pick([512, 4096, 100_000, 1_000_000]));
      const piece = content.subarray(at, at + bytes);
      const where = u64(offset + at);
      const isHole = piece.every(byte => byte === 0) && random.below(2) === 0;
      const body = isHole ? Buffer.concat([where, u32(bytes)]) : Buffer.concat([where, piece]);
      const next = this.#chunk(command, isHole ? 2 : 1, body, isHole ? 12 : 8);
      chunks.splice(random.below(chunks.length + 1), 0, next);
      at += bytes;
    }
    return chunks;
  }

  #statusChunk(command: Command): Message {
    const { flags, offset, length } = command;
    const isWide = this.#extended && this.#random.below(2) === 0;
    const number = isWide ? u64 : u32;
    const extents: Buffer[] = [];
    const end = Math.min(this.disk.length, offset + length);
    const step = Math.max(512, this.#sizes?.[0] ?? 1);
    for (let at = offset; at < end && (extents.length === 0 || (flags & 8) === 0) && extents.length < 20; ) {
      const next = Math.min(end, at - (at % step) + step);
      const isZero = this.disk.subarray(at, next).every(byte => byte === 0);
      extents.push(Buffer.concat([number(next - at), number(isZero ? this.#random.pick([0, 2, 3]) : 0)]));
      at = next;
    }
    const count = isWide ? [u32(this.#random.pick([0, extents.length]))] : [];
    return this.#chunk(command, isWide ? 6 : 5, Buffer.concat([u32(CONTEXT_ID), ...count, ...extents]));
  }

  /** Marks the last chunk, or adds an empty one. */
  #ended(command: Command, chunks: Message[]): Message[] {
    if (chunks.length === 0 || this.#random.below(3) === 0) chunks.push(this.#chunk(command, 0, Buffer.alloc(0)));
    (chunks.at(-1) as Message).bytes.writeUInt16BE(1, 4);
    return chunks;
  }

  /** A chunk that is not the last; `fieldBytes` of its payload may be changed. */
  #chunk({ cookie, offset }: Command, type: number, payload: Buffer, fieldBytes: number = payload.length): Message {
    const head = [u16(0), u16(type), cookie];
    const header = this.#extended
      ? Buffer.concat([u32(0x6e8a278c), ...head, u64(offset), u64(payload.length)])
      : Buffer.concat([u32(0x668e33ef), ...head, u32(payload.length)]);
    const open: (readonly [number, number])[] = [[0, 8]];
    for (let at = 16; at < header.length; at += 4) open.push([at, at + 4]);
    if (fieldBytes > 0) open.push([header.length, header.length + fieldBytes]);
    return { bytes: Buffer.concat([header, payload]), open };
  }

  #write(peer: ScriptedPeer, message: Message): void {
    if (this.#isSilent) return;
    if (this.#lies && !this.#hasLied && this.#messagesUntilLie-- === 0) {
      this.#hasLied = true;
      this.#isSilent = this.#random.below(2) === 0;
      setTimeout(() => peer.end(), LEAVE_MS);
      peer.write(this.#changed(message));
    } else {
      peer.write(message.bytes);
    }
  }

  #changed({ bytes, open: places }: Message): Buffer {
    const random = this.#random;
    const changed = Buffer.from(bytes);
    const [from, to] = places[random.below(places.length)] as readonly [number, number];
    const at = from + random.below(Math.max(1, to - from));
    switch (random.below(6)) {
      case 0:
      case 1:
        if (at < changed.length) changed.writeUInt8((changed.readUInt8(at) ^ (1 << random.below(8))) & 0xff, at);
        return changed;
      case 2:
        if (from + 4 <= to) changed.writeUInt32BE(random.pick([0, 1, 0x7fffffff, 0x80000000, 0xffffffff]), from);
        return changed;
      case 3:
        return Buffer.concat([random.bytes(random.between(1, 100)), changed]);
      case 4:
        return changed.subarray(0, random.below(Math.min(from + 4, changed.length)));
      default:
        return Buffer.concat([changed, changed]);
    }
  }
}

/** A message of the handshake, where any byte may be changed. */
function open(bytes: Buffer): Message {
  return { bytes, open: [[0, bytes.length]] };
}

function optionReply(option: number, type: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from('0003e889045565a9', 'hex'), u32(option), u32(type), u32(data.length), data]);
}

/** Its magic alone may be changed: another error or cookie would be as good as this. */
function simpleReply(error: number, cookie: Buffer, data: Buffer = Buffer.alloc(0)): Message {
  return { bytes: Buffer.concat([u32(0x67446698), u32(error), cookie, data]), open: [[0, 4]] };
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
