/** Greetings and answers to options that break a rule, one a row: the client says which, and leaves. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ETIMEDOUT } from '../../src/base/errno.ts';
import { ColobusError, ProtocolError } from '../../src/base/errors.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { counted, OPT, REP, u16, u32 } from '../support/raw-nbd-client.ts';
import { haggling, type Script, ScriptedNbdServer, type ScriptedPeer } from '../support/scripted-nbd-server.ts';
import { u64 } from './recording-server.ts';

const KIB = 1024;

type Way = 'connect' | 'list' | 'info';
/** Replies to one option: types and data, or raw bytes. */
type Replies = readonly (readonly [type: number, data: Buffer] | Buffer)[];

async function come(server: ScriptedNbdServer, way: Way): Promise<void> {
  const target = { address: { kind: 'unix', path: server.socket }, exportName: 'disk' } as const;
  if (way === 'list') await NbdClient.list(target);
  else if (way === 'info') await NbdClient.info(target);
  else await (await NbdClient.connect(target, { contexts: ['base:allocation', 'x-test:other'] })).close();
}

async function refused(script: Script, way: Way, rule: RegExp): Promise<void> {
  await using server = await ScriptedNbdServer.start(script);
  await assert.rejects(come(server, way), (error: unknown) => {
    assert.ok(error instanceof ProtocolError, String(error));
    assert.match(error.message, rule);
    return true;
  });
}

const join = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const nothing = Buffer.alloc(0);
const OLDSTYLE = Buffer.from('4e42444d414749430000420281861253', 'hex');
const ack = [REP.ACK, nothing] as const;
const exported = (size: number | bigint, flags = 1): readonly [number, Buffer] => [
  REP.INFO,
  join(u16(0), u64(size), u16(flags)),
];
const described = (text: Buffer): readonly [number, Buffer] => [REP.INFO, join(u16(2), text)];
const blocks = (...sizes: readonly [number, number, number]): readonly [number, Buffer] => [
  REP.INFO,
  join(u16(3), ...sizes.map(u32)),
];
const context = (id: number, name: Buffer | string): readonly [number, Buffer] => [
  REP.META_CONTEXT,
  join(u32(id), Buffer.from(name)),
];
const listed = (nameBytes: number, rest: Buffer): readonly [number, Buffer] => [REP.SERVER, join(u32(nameBytes), rest)];
const announcing = (option: number, type: number, length: number): Buffer =>
  join(Buffer.from('0003e889045565a9', 'hex'), u32(option), u32(type), u32(length));

for (const [what, greeting, rule] of [
  ['no NBD at all', Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n'), /NBDMAGIC|magic/],
  ['half of the magic', join(Buffer.from('NBDMAGIC'), Buffer.alloc(10)), /magic/],
  ['a request in place of a greeting', Buffer.alloc(32, 0x25), /magic/],
  ['an oldstyle greeting of 2^63 bytes', join(OLDSTYLE, u64(2n ** 63n), u32(1), Buffer.alloc(124)), /2\^53/],
] as const) {
  test(`${what} from the server is a protocol error`, () =>
    refused(async peer => peer.write(greeting), 'connect', rule));
}

for (const [what, way, option, replies, rule] of [
  ['a reply without its magic', 'connect', OPT.GO, [Buffer.alloc(20)], /lacks the magic/],
  ['a reply to another option', 'connect', OPT.GO, [announcing(OPT.LIST, REP.ACK, 0)], /answered option 3 when asked/],
  ['a reply of 4 GiB', 'connect', OPT.GO, [announcing(OPT.GO, REP.INFO, 0xffffffff)], /announced 4294967295 bytes/],
  ['an acceptance with data', 'connect', OPT.GO, [[REP.ACK, u32(1)]], /carries data/],
  ['an acceptance without the size', 'connect', OPT.GO, [blocks(1, 4096, 4096), ack], /without telling its size/],
  ['a listed export for GO', 'connect', OPT.GO, [listed(0, nothing), ack], /reply of type 2/],
  ['an unknown reply that is no error', 'connect', OPT.GO, [[99, nothing], ack], /reply of type 99/],
  ['an export of 2^53 bytes', 'connect', OPT.GO, [exported(2n ** 53n), ack], /larger than 2\^53 - 1/],
  ['an export without HAS_FLAGS', 'connect', OPT.GO, [exported(4096, 0), ack], /HAS_FLAGS/],
  [
    'an export of 11 bytes of information',
    'connect',
    OPT.GO,
    [[REP.INFO, Buffer.alloc(11)], ack],
    /wrong length of 11/,
  ],
  ['an information of 1 byte', 'connect', OPT.GO, [[REP.INFO, Buffer.alloc(1)], ack], /wrong length of 1 /],
  [
    'block sizes of 13 bytes',
    'connect',
    OPT.GO,
    [[REP.INFO, join(u16(3), Buffer.alloc(11))], ack],
    /wrong length of 13/,
  ],
  ['a minimum block of 0', 'connect', OPT.GO, [exported(4096), blocks(0, 512, 512), ack], /minimum block size/],
  ['a minimum block of 3', 'connect', OPT.GO, [exported(4096), blocks(3, 512, 512), ack], /minimum block size/],
  [
    'a minimum block of 128 KiB',
    'connect',
    OPT.GO,
    [exported(0), blocks(2 ** 17, 2 ** 17, 2 ** 17), ack],
    /minimum block/,
  ],
  [
    'a minimum above the maximum',
    'connect',
    OPT.GO,
    [exported(4096), blocks(4096, 4096, 512), ack],
    /maximum block size/,
  ],
  ['a maximum between blocks', 'connect', OPT.GO, [exported(4096), blocks(512, 512, 1000), ack], /maximum block size/],
  ['a preferred size below the minimum', 'connect', OPT.GO, [exported(0), blocks(4096, 512, 8192), ack], /preferred/],
  ['a description of 4097 bytes', 'connect', OPT.GO, [described(Buffer.alloc(4097, 'x'))], /description of 4097 bytes/],
  [
    'a description that is no UTF-8',
    'info',
    OPT.INFO,
    [described(Buffer.from('c328', 'hex'))],
    /description is not UTF-8/,
  ],
  ['a description with a NUL', 'info', OPT.INFO, [described(Buffer.from('a\0'))], /description contains a NUL/],
  [
    'a refusal in 4097 bytes',
    'connect',
    OPT.GO,
    [[REP.ERR_POLICY, Buffer.alloc(4097, 'x')]],
    /text of an error of 4097/,
  ],
  [
    'a refusal that is no UTF-8',
    'connect',
    OPT.GO,
    [[REP.ERR_POLICY, Buffer.from('ff', 'hex')]],
    /text of an error is not/,
  ],
  ['a context nobody asked for', 'connect', OPT.SET_META_CONTEXT, [context(1, 'foo:bar'), ack], /'foo:bar' unasked/],
  [
    'one context twice',
    'connect',
    OPT.SET_META_CONTEXT,
    [context(1, 'base:allocation'), context(2, 'base:allocation'), ack],
    /unasked/,
  ],
  [
    'one id for two contexts',
    'connect',
    OPT.SET_META_CONTEXT,
    [context(7, 'base:allocation'), context(7, 'x-test:other'), ack],
    /two metadata contexts the id 7/,
  ],
  ['a context that is cut off', 'connect', OPT.SET_META_CONTEXT, [[REP.META_CONTEXT, u32(1)], ack], /cut off/],
  ['a context of 4097 bytes', 'info', OPT.LIST_META_CONTEXT, [context(0, 'x'.repeat(4097))], /4097 bytes is longer/],
  ['a context that is no UTF-8', 'info', OPT.LIST_META_CONTEXT, [context(0, Buffer.from('ff', 'hex'))], /not UTF-8/],
  ['an export that is cut off', 'list', OPT.LIST, [[REP.SERVER, Buffer.alloc(3)], ack], /cut off/],
  ['an export whose name runs on', 'list', OPT.LIST, [listed(6, Buffer.from('short')), ack], /runs past the end/],
  [
    'an export whose name has 4097 bytes',
    'list',
    OPT.LIST,
    [listed(4097, Buffer.alloc(4097, 'x'))],
    /4097 bytes is longer/,
  ],
  ['an export whose name is no UTF-8', 'list', OPT.LIST, [listed(1, Buffer.from('ff', 'hex'))], /name is not UTF-8/],
] as const satisfies readonly (readonly [string, Way, number, Replies, RegExp])[]) {
  test(`${what} in the handshake is a protocol error that names the rule`, async () => {
    await refused(
      haggling((peer, asked) => answer(peer, asked, option, replies)),
      way,
      rule,
    );
  });
}

/** Gives `replies` to `option`, and to what comes before it what a proper server would. */
function answer(peer: ScriptedPeer, asked: number, option: number, replies: Replies): void {
  if (asked === option) {
    for (const reply of replies) {
      if (Buffer.isBuffer(reply)) peer.write(reply);
      else peer.reply(asked, reply[0], reply[1]);
    }
  } else if (asked === OPT.STRUCTURED_REPLY || asked === OPT.SET_META_CONTEXT || asked === OPT.LIST_META_CONTEXT) {
    peer.reply(asked, REP.ACK);
  } else {
    peer.reply(asked, REP.ERR_UNSUP);
  }
}

for (const [what, size, flags, rule] of [
  ['2^53', 2n ** 53n, 1, /larger than 2\^53 - 1/],
  ['2^64 - 1', 2n ** 64n - 1n, 1, /larger than 2\^53 - 1/],
  ['4096, without HAS_FLAGS', 4096n, 0, /HAS_FLAGS/],
] as const) {
  test(`an answer to EXPORT_NAME with a size of ${what} is a protocol error`, async () => {
    const script = haggling((peer, asked) => {
      if (asked === OPT.EXPORT_NAME) peer.write(join(u64(size), u16(flags)));
      else peer.reply(asked, REP.ERR_UNSUP);
    });
    await refused(script, 'connect', rule);
  });
}

for (const [option, way, type, data] of [
  [OPT.GO, 'connect', REP.INFO, join(u16(99), Buffer.alloc(64 * KIB - 2))],
  [OPT.INFO, 'info', REP.INFO, join(u16(99), Buffer.alloc(64 * KIB - 2))],
  [OPT.LIST, 'list', REP.SERVER, join(counted('x'.repeat(4096)), Buffer.alloc(4096, 'y'))],
  [OPT.LIST_META_CONTEXT, 'info', REP.META_CONTEXT, join(u32(0), Buffer.from(`x:${'y'.repeat(4000)}`))],
] as const) {
  test(`replies to option ${option} without end are cut off`, async () => {
    const script = haggling((peer, asked) => {
      if (asked !== option) answer(peer, asked, option, []);
      // A little more than the client takes.
      else for (let sent = 0; sent < 17 * KIB * KIB; sent += data.length) peer.reply(asked, type, data);
    });
    await refused(script, way, /over 16777216 bytes in reply|bytes that nobody asked for/);
  });
}

test('errors in answer to each option in turn, of every type, are errors in words (CVE-2021-20286)', async () => {
  const options = [...Object.values(OPT)];
  const types = [...Array.from({ length: 12 }, (_, index) => 0x80000000 + index), 0xffffffff];
  for (const option of options) {
    for (const type of types) {
      const text = Buffer.from('no, and that is that');
      await using server = await ScriptedNbdServer.start(
        haggling((peer, asked) => answer(peer, asked, option, [[type, text]])),
      );
      for (const way of ['connect', 'list', 'info'] as const) {
        const outcome = await come(server, way).then(
          () => null,
          (error: unknown) => error,
        );
        assert.ok(outcome instanceof ColobusError, `option ${option}, error ${type}: ${outcome}`);
      }
    }
  }
});

test('a server that sends a byte a second is given up when the time to open is over', async () => {
  const clock = new ManualClock();
  const greeting = Buffer.from('NBDMAGICIHAVEOPT\0\x03');
  let sent = 0;
  await using server = await ScriptedNbdServer.start(async peer => {
    const next = (): void => {
      clock.advance(1000);
      if (sent === greeting.length) return;
      peer.write(greeting.subarray(sent, ++sent));
      setImmediate(next);
    };
    next();
  });
  const address = { kind: 'unix', path: server.socket } as const;
  await assert.rejects(NbdClient.connect({ address, clock }), (error: unknown) => {
    assert.ok(error instanceof ColobusError && error.errno === ETIMEDOUT);
    assert.match(error.message, /did not finish the handshake within 10000 ms/);
    return true;
  });
  assert.ok(sent >= 9 && sent <= greeting.length);
});
