/** The questions: what the specification leaves open, or what servers are known to get wrong. */

import { CMD, counted, OPT, option, request, u16, u32 } from '../../test/support/raw-nbd-client.ts';
import { type Conversation, lossOf, type ProbedExport } from './conversation.ts';

export type Question = {
  readonly title: string;
  /** What proto.md says. */
  readonly specification: string;
  readonly ask: (conversation: Conversation, probed: ProbedExport) => Promise<string>;
};

const MIB = 1024 * 1024;
const FUA = 1;
const NO_HOLE = 2;
const DF = 4;
const FAST_ZERO = 16;
const UNKNOWN_FLAG = 0x4000;
const SEND_FAST_ZERO = 0x800;
/** The size a probed export needs for all questions. */
export const PROBE_BYTES: number = 5 * 1024 * MIB;

/** Several commands that a row asks together, as `OK / EINVAL`, or once where all agree. */
async function each(...asked: readonly Promise<string>[]): Promise<string> {
  const answers = [];
  for (const one of asked) answers.push(await one);
  return new Set(answers).size === 1 ? (answers[0] as string) : answers.join(' / ');
}

export const QUESTIONS: readonly Question[] = [
  {
    title: 'READ of length 0',
    specification: 'unspecified, no disconnect',
    ask: async ask => each(ask.ask({ type: CMD.READ }), ask.askStructured({ type: CMD.READ })),
  },
  {
    title: 'WRITE / WRITE_ZEROES of length 0',
    specification: 'unspecified, no disconnect',
    ask: async ask => each(ask.ask({ type: CMD.WRITE }), ask.ask({ type: CMD.WRITE_ZEROES })),
  },
  {
    title: 'TRIM of length 0',
    specification: 'unspecified, no disconnect',
    ask: ask => ask.ask({ type: CMD.TRIM }),
  },
  {
    title: 'READ of length 0 at the end',
    specification: '–',
    ask: (ask, { sizeBytes }) => ask.ask({ type: CMD.READ, offset: sizeBytes }),
  },
  {
    title: 'READ / TRIM / CACHE / BLOCK_STATUS past the end',
    specification: 'EINVAL',
    ask: (ask, { sizeBytes }) => {
      const past = { offset: sizeBytes - 512n, length: 1024 };
      return each(
        ask.ask({ type: CMD.READ, ...past }),
        ask.ask({ type: CMD.TRIM, ...past }),
        ask.ask({ type: CMD.CACHE, ...past }),
        ask.askStructured({ type: CMD.BLOCK_STATUS, ...past }, ['base:allocation']),
      );
    },
  },
  {
    title: 'WRITE / WRITE_ZEROES past the end',
    specification: 'ENOSPC',
    ask: (ask, { sizeBytes }) =>
      each(
        ask.ask({ type: CMD.WRITE, offset: sizeBytes - 512n, payload: Buffer.alloc(1024) }),
        ask.ask({ type: CMD.WRITE_ZEROES, offset: sizeBytes - 512n, length: 1024 }),
      ),
  },
  {
    title: 'READ at 2^64 - 512, which wraps',
    specification: 'EINVAL',
    ask: ask => ask.ask({ type: CMD.READ, offset: 2n ** 64n - 512n, length: 1024 }),
  },
  {
    title: 'unknown commands 8 / 99',
    specification: 'EINVAL',
    ask: ask => each(ask.ask({ type: 8 }), ask.ask({ type: 99 })),
  },
  {
    title: 'unknown flag on READ / DF on WRITE / NO_HOLE on WRITE',
    specification: 'EINVAL',
    ask: ask =>
      each(
        ask.ask({ type: CMD.READ, length: 512, flags: UNKNOWN_FLAG }),
        ask.ask({ type: CMD.WRITE, payload: Buffer.alloc(512), flags: DF }),
        ask.ask({ type: CMD.WRITE, payload: Buffer.alloc(512), flags: NO_HOLE }),
      ),
  },
  {
    title: 'FUA on READ / FLUSH',
    specification: 'accepted where FUA is advertised',
    ask: ask => each(ask.ask({ type: CMD.READ, length: 512, flags: FUA }), ask.ask({ type: CMD.FLUSH, flags: FUA })),
  },
  {
    title: 'DF without structured replies',
    specification: 'EINVAL',
    ask: ask => ask.ask({ type: CMD.READ, length: 512, flags: DF }),
  },
  {
    title: 'FLUSH with offset 1',
    specification: 'the client must not; reserved',
    ask: ask => ask.ask({ type: CMD.FLUSH, offset: 1 }),
  },
  {
    title: 'READ of 1 byte at offset 1',
    specification: 'works unless a minimum block is advertised',
    ask: ask => ask.ask({ type: CMD.READ, offset: 1, length: 1 }),
  },
  {
    title: 'WRITE of 32 MiB',
    specification: 'not a denial of service',
    ask: ask => ask.ask({ type: CMD.WRITE, payload: Buffer.alloc(32 * MIB) }),
  },
  {
    title: 'WRITE of 32 MiB + 1 / 40 MiB',
    specification: 'may be refused or disconnect',
    ask: ask =>
      each(
        ask.ask({ type: CMD.WRITE, payload: Buffer.alloc(32 * MIB + 1) }),
        ask.ask({ type: CMD.WRITE, payload: Buffer.alloc(40 * MIB) }),
      ),
  },
  {
    title: 'WRITE of 65 MiB',
    specification: 'may be refused or disconnect',
    ask: ask => ask.ask({ type: CMD.WRITE, payload: Buffer.alloc(65 * MIB) }),
  },
  {
    title: 'READ of 32 MiB + 512',
    specification: 'may be refused',
    ask: ask => ask.ask({ type: CMD.READ, length: 32 * MIB + 512 }),
  },
  {
    title: 'WRITE_ZEROES / TRIM of 48 MiB',
    specification: 'no payload, no cap',
    ask: ask =>
      each(ask.ask({ type: CMD.WRITE_ZEROES, length: 48 * MIB }), ask.ask({ type: CMD.TRIM, length: 48 * MIB })),
  },
  {
    title: 'BLOCK_STATUS without a context',
    specification: 'EINVAL',
    ask: ask => ask.ask({ type: CMD.BLOCK_STATUS, length: 512 }),
  },
  {
    title: 'BLOCK_STATUS of 2^32 - 1 bytes',
    specification: 'extents',
    ask: ask => ask.askStructured({ type: CMD.BLOCK_STATUS, length: 0xffffffff }, ['base:allocation']),
  },
  {
    title: 'wrong request magic',
    specification: 'may disconnect',
    ask: async ask => {
      using client = await ask.attach();
      try {
        const wrong = request({ type: CMD.READ, length: 512 });
        wrong.writeUInt32BE(0x12560953, 0);
        client.send(wrong);
        return `error reply (${(await client.simpleReply()).error})`;
      } catch (failure) {
        return lossOf(failure);
      }
    },
  },
  {
    title: 'SET_META_CONTEXT of an unknown context / without a colon',
    specification: 'unknown namespaces are ignored',
    ask: ask => {
      const query = (text: string): Buffer[] => [counted(ask.exportName), u32(1), counted(text)];
      return each(
        ask.askOption(OPT.SET_META_CONTEXT, ...query('x-nobody:knows')),
        ask.askOption(OPT.SET_META_CONTEXT, ...query('nocolon')),
      );
    },
  },
  {
    title: 'SET_META_CONTEXT that announces 2^28 queries and ends',
    specification: 'INVALID',
    ask: ask => ask.askOption(OPT.SET_META_CONTEXT, counted(ask.exportName), u32(0x10000000)),
  },
  {
    title: 'GO without data',
    specification: 'INVALID',
    ask: ask => ask.askOption(OPT.GO),
  },
  {
    title: 'GO with a name length of 2^32 - 1',
    specification: 'INVALID',
    ask: ask => ask.askOption(OPT.GO, u32(0xffffffff), u16(0)),
  },
  {
    title: 'an option that announces 1 GiB',
    specification: 'may disconnect',
    ask: async ask => {
      using client = await ask.haggler();
      try {
        client.send(Buffer.concat([Buffer.from('IHAVEOPT'), u32(99), u32(0x40000000)]));
        await client.read(1);
        return 'answers';
      } catch (failure) {
        return lossOf(failure);
      }
    },
  },
  {
    title: '100 unknown options',
    specification: 'UNSUP each; a flood may be cut off',
    ask: async ask => {
      using client = await ask.haggler();
      for (let answered = 0; answered < 100; answered++) {
        try {
          await client.haggle(0x7000 + answered);
        } catch (failure) {
          return `${lossOf(failure)} after ${answered}`;
        }
      }
      return 'all answered';
    },
  },
  {
    title: 'a second option before the first was answered',
    specification: 'the client must not',
    ask: async ask => {
      using client = await ask.haggler();
      try {
        client.send(option(0x7000), option(0x7001));
        await client.read(40);
        return 'both answered';
      } catch (failure) {
        return lossOf(failure);
      }
    },
  },
  {
    title: 'transmission flags',
    specification: '–',
    ask: (_ask, { flags }) => Promise.resolve(`0x${flags.toString(16)}`),
  },
  // Last, since it ends one of the peers.
  {
    title: 'FAST_ZERO where it is not advertised',
    specification: 'EINVAL',
    ask: async (ask, { flags }) => {
      if ((flags & SEND_FAST_ZERO) !== 0) return 'advertised';
      const answer = await ask.ask({ type: CMD.WRITE_ZEROES, length: 512, flags: FAST_ZERO });
      return (await ask.isServing()) ? answer : 'the server ends, with all its clients';
    },
  },
];
