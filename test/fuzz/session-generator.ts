/** Sessions of a client, valid or nearly: bytes, and the places where the client waits for answers. */

import { CMD, counted, OPT, option, request, u16, u32 } from '../support/raw-nbd-client.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { ExportModel } from './export-model.ts';

export type FuzzSession = {
  readonly bytes: Buffer;
  /** Ends of the parts after each of which the client waits for all answers, in ascending order. */
  readonly barriers: readonly number[];
};

/** Values at the edges of fields and limits. */
const INTERESTING: readonly [number, ...number[]] = [
  0, 1, 2, 3, 7, 8, 9, 11, 13, 15, 16, 255, 4095, 4096, 4097, 65535, 65536, 0x1ffffff, 0x2000000, 0x2000001, 0x4000000,
  0x4000001, 0x7fffffff, 0x80000000, 0xfffffe00, 0xffffffff,
];

export function randomSession(exports: readonly ExportModel[], random: SeededRandom): FuzzSession {
  const parts: Buffer[] = [];
  const barriers: number[] = [];
  const endPart = (): void => {
    barriers.push(parts.reduce((sum, { length }) => sum + length, 0));
  };
  parts.push(u32(random.below(10) === 0 ? random.pick([0, 1, 2, 4, 0x80000003]) : 3));
  for (let left = random.below(7); left > 0; left--) {
    parts.push(randomOption(exports, random));
    if (random.below(2) === 0) endPart();
  }
  const target = exports[random.below(exports.length)] as ExportModel;
  if (random.below(12) !== 0) {
    const extended = random.below(3) === 0;
    parts.push(...entry(target, extended, random));
    for (let left = random.pick([0, 1, 5, 20, 60]); left > 0; left--) {
      const command = randomCommand(target, random);
      parts.push(extended ? extend(command, random) : command);
      if (random.below(6) === 0) endPart();
    }
    const goodbye = request({ type: CMD.DISC });
    if (random.below(2) === 0) parts.push(extended ? extend(goodbye, random) : goodbye);
    if (random.below(10) === 0) parts.push(random.bytes(random.below(100)));
  }
  endPart();
  const bytes = Buffer.concat(parts);
  if (random.below(5) >= 2) return { bytes, barriers };
  return mutated({ bytes, barriers }, random);
}

/** The options with which most sessions come to transmission. */
function entry(target: ExportModel, extended: boolean, random: SeededRandom): Buffer[] {
  const options: Buffer[] = [];
  if (extended || random.below(3) !== 0) {
    options.push(option(extended ? OPT.EXTENDED_HEADERS : OPT.STRUCTURED_REPLY));
    if (random.below(2) === 0) {
      options.push(option(OPT.SET_META_CONTEXT, counted(target.name), u32(1), counted('base:allocation')));
    }
  }
  if (!extended && random.below(8) === 0) options.push(option(OPT.EXPORT_NAME, Buffer.from(target.name)));
  else options.push(option(OPT.GO, counted(target.name), u16(1), u16(3)));
  return options;
}

function randomOption(exports: readonly ExportModel[], random: SeededRandom): Buffer {
  const { name } = exports[random.below(exports.length)] as ExportModel;
  const wrongName = random.pick(['', 'nobody', 'a\0b', 'x'.repeat(4096), 'x'.repeat(4097), 'é'.repeat(50)]);
  const asked = random.below(3) === 0 ? wrongName : name;
  const extra = random.below(8) === 0 ? random.bytes(random.below(20)) : Buffer.alloc(0);
  const number = random.pick([
    OPT.ABORT,
    OPT.LIST,
    OPT.LIST,
    OPT.STARTTLS,
    OPT.INFO,
    OPT.INFO,
    OPT.GO,
    OPT.STRUCTURED_REPLY,
    OPT.EXTENDED_HEADERS,
    OPT.LIST_META_CONTEXT,
    OPT.SET_META_CONTEXT,
    4,
    12,
    0x7fffffff,
  ]);
  switch (number) {
    case OPT.ABORT:
      return random.below(6) === 0 ? option(OPT.ABORT, extra) : option(OPT.LIST, extra);
    case OPT.GO:
    case OPT.INFO: {
      const infos = Array.from({ length: random.below(6) }, () => u16(random.pick([0, 1, 2, 3, 4, 0xffff])));
      const count = random.below(10) === 0 ? random.pick(INTERESTING) & 0xffff : infos.length;
      // A GO of an unknown name is refused; others end the options, which `entry` does.
      const name = number === OPT.GO ? `no ${asked}` : asked;
      const length = random.below(12) === 0 ? random.pick(INTERESTING) : Buffer.byteLength(name);
      return option(number, u32(length), Buffer.from(name), u16(count), ...infos, extra);
    }
    case OPT.LIST_META_CONTEXT:
    case OPT.SET_META_CONTEXT: {
      const queries = Array.from({ length: random.below(4) }, () =>
        counted(random.pick(['base:allocation', 'base:', 'base:other', 'x-y:z', 'nocolon', 'qemu:', ''])),
      );
      const count = random.below(10) === 0 ? random.pick(INTERESTING) : queries.length;
      return option(number, counted(asked), u32(count), ...queries, extra);
    }
    default:
      return option(number, extra);
  }
}

function randomCommand(target: ExportModel, random: SeededRandom): Buffer {
  const { sizeBytes, alignment } = target;
  const type = random.pick([0, 0, 0, 1, 1, 1, 1, 3, 4, 5, 6, 6, 7, 7, random.pick([8, 9, 99, 0xffff])]);
  const aligned = (value: number): number => (random.below(10) === 0 ? value : value - (value % alignment));
  let offset: number | bigint = aligned(random.below(sizeBytes + 1));
  let length = aligned(random.below(random.pick([2, 600, 5000, 40_000, 140_000])));
  if (random.below(8) !== 0) length = Math.max(0, Math.min(length, aligned(sizeBytes - offset)));
  if (random.below(25) === 0) {
    const edges: readonly [bigint, ...bigint[]] = [
      2n ** 63n,
      2n ** 64n - 512n,
      2n ** 53n,
      2n ** 32n,
      BigInt(sizeBytes),
    ];
    offset = random.pick(edges);
  }
  const flags = random.below(4) === 0 ? random.pick([1, 1, 1, 2, 4, 8, 16, 32, 0x4000, 7]) : 0;
  const cookie = random.bytes(8).readBigUInt64BE(0);
  const payload = type === CMD.WRITE ? random.bytes(length) : Buffer.alloc(0);
  if (type !== CMD.WRITE && random.below(20) === 0) length = random.pick(INTERESTING);
  const header = request({ type, flags, offset, length });
  header.writeBigUInt64BE(cookie, 8);
  return Buffer.concat([header, payload]);
}

/** The command with an extended header. */
function extend(command: Buffer, random: SeededRandom): Buffer {
  const type = command.readUInt16BE(6);
  const header = Buffer.alloc(32);
  command.copy(header, 0, 0, 24);
  header.writeUInt32BE(0x21e41c71, 0);
  header.writeUInt32BE(command.readUInt32BE(24), 28);
  let payload = command.subarray(28);
  let takesPayload = type === CMD.WRITE;
  if (type === CMD.BLOCK_STATUS && random.below(3) === 0) {
    takesPayload = true;
    payload = Buffer.concat([
      header.subarray(24),
      ...random.pick([[u32(1)], [u32(1)], [], [u32(2)], [u32(1), u32(1)]]),
    ]);
    header.writeUInt32BE(payload.length, 28);
  }
  if (random.below(30) === 0) header.writeUInt32BE(random.pick([1, 0x80000000]), 24);
  if (takesPayload !== (random.below(30) === 0)) header.writeUInt16BE(header.readUInt16BE(4) | 32, 4);
  return Buffer.concat([header, payload]);
}

/** The session with some bytes changed, added, doubled or gone. */
function mutated({ bytes, barriers }: FuzzSession, random: SeededRandom): FuzzSession {
  let mutant = Buffer.from(bytes);
  for (let left = random.between(1, 3); left > 0; left--) {
    const at = random.below(mutant.length + 1);
    const rest = mutant.subarray(at);
    switch (random.below(6)) {
      case 0:
        if (at < mutant.length) mutant.writeUInt8((mutant.readUInt8(at) ^ (1 << random.below(8))) & 0xff, at);
        break;
      case 1:
        mutant = Buffer.concat([mutant.subarray(0, at), random.bytes(random.between(1, 40)), rest]);
        break;
      case 2:
        mutant = Buffer.concat([mutant.subarray(0, at), rest.subarray(random.between(1, 40))]);
        break;
      case 3:
        mutant = Buffer.concat([mutant.subarray(0, at), rest.subarray(0, random.below(200)), rest]);
        break;
      case 4:
        mutant = Buffer.from(mutant.subarray(0, at));
        break;
      default:
        if (at + 4 <= mutant.length) mutant.writeUInt32BE(random.pick(INTERESTING), at);
    }
  }
  const inside = barriers.filter(barrier => barrier < mutant.length);
  return { bytes: mutant, barriers: [...inside, mutant.length] };
}
