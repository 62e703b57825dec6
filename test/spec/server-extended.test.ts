/**
 * The server with extended headers, which no packaged peer speaks: conversations in hex, put together by hand from the
 * text of NBD's branch extension-ext-header and not by our codecs. A title names the rules it shows.
 *
 * Request:  21e41c71 flags type cookie offset length           4 2 2 8 8 8 bytes
 * Reply:    6e8a278c flags type cookie offset length payload   4 2 2 8 8 8 bytes and the payload
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, infoRequest, OPT, type RawNbdClient, REP, u32 } from '../support/raw-nbd-client.ts';
import { ServedDisk } from '../support/served-disk.ts';

/** A client in transmission with extended headers, and with `base:allocation` selected where `contexts` says so. */
async function extended(disk: ServedDisk, contexts = false): Promise<RawNbdClient> {
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  assert.deepEqual(
    (await client.haggle(OPT.EXTENDED_HEADERS)).map(({ type }) => type),
    [REP.ACK],
  );
  if (contexts) {
    await client.haggle(OPT.SET_META_CONTEXT, counted('disk'), u32(1), counted('base:allocation'));
  }
  assert.equal((await client.haggle(OPT.GO, infoRequest('disk'))).at(-1)?.type, REP.ACK);
  return client;
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** Sends `said` and expects exactly `heard`. */
async function converse(client: RawNbdClient, said: string, heard: string): Promise<void> {
  client.send(hex(said));
  const expected = hex(heard);
  assert.equal((await client.read(expected.length)).toString('hex'), expected.toString('hex'));
}

/** The error of the next reply, whose header must begin as `header`; the text is the server's own. */
async function errorAfter(client: RawNbdClient, said: string, header: string): Promise<number> {
  client.send(hex(said));
  const reply = await client.read(32);
  assert.equal(reply.toString('hex', 0, 24), hex(header).toString('hex'));
  const payload = await client.read(Number(reply.readBigUInt64BE(24)));
  assert.equal(payload.length, 6 + payload.readUInt16BE(4));
  return payload.readUInt32BE(0);
}

test('a write with PAYLOAD_LEN, and its bytes read back [ext-reply.1] [ext-reply.2] [ext-reply.3] [ext-reply.4] [ext-simple-reply.1] [ext-option.9]', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  await converse(
    client,
    '21e41c71 0020 0001 00112233445566aa 0000000000000200 0000000000000004 cafebabe',
    '6e8a278c 0001 0000 00112233445566aa 0000000000000200 0000000000000000',
  );
  await converse(
    client,
    '21e41c71 0000 0000 fedcba9876543210 0000000000000200 0000000000000004',
    '6e8a278c 0001 0001 fedcba9876543210 0000000000000200 000000000000000c 0000000000000200 cafebabe',
  );
});

test('a read of zeroes is a hole, whose offset lies within while the header keeps that of the request', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  await converse(
    client,
    '21e41c71 0000 0000 0000000000000001 0000000000020000 0000000000040000',
    '6e8a278c 0001 0002 0000000000000001 0000000000020000 000000000000000c 0000000000020000 00040000',
  );
});

test('flush, trim, cache and zeroes succeed by an empty last chunk, never by a simple reply [ext-reply.2] [ext-simple-reply.1]', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  for (const [type, length] of [
    ['0003', '0000000000000000'],
    ['0004', '0000000000010000'],
    ['0005', '0000000000010000'],
    ['0006', '0000000000010000'],
  ]) {
    const command = `21e41c71 0000 ${type} 0000000000000042 0000000000000000 ${length}`;
    await converse(client, command, '6e8a278c 0001 0000 0000000000000042 0000000000000000 0000000000000000');
  }
});

test('lengths have 64 bits: a length of 2^32 is not one of 0', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  const past = await errorAfter(
    client,
    '21e41c71 0000 0006 0000000000000007 0000000000000000 0000000100000000',
    '6e8a278c 0001 8001 0000000000000007 0000000000000000',
  );
  assert.equal(past, 28);
  assert.deepEqual(disk.node.log, []);
});

test('an offset over 2^53 comes back exactly, with its error', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  const past = await errorAfter(
    client,
    '21e41c71 0000 0000 0000000000000008 ffffffffffffff01 0000000000000001',
    '6e8a278c 0001 8001 0000000000000008 ffffffffffffff01',
  );
  assert.equal(past, 22);
});

test('a payload that the command does not take is consumed and refused, and the next command is understood [ext-request.5] [ext-payload.4]', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  for (const type of ['0000', '0003', '0004', '0005', '0006', '0007', '0063']) {
    const refused = await errorAfter(
      client,
      `21e41c71 0020 ${type} 0000000000000009 0000000000000000 0000000000000005 21e41c7100`,
      '6e8a278c 0001 8001 0000000000000009 0000000000000000',
    );
    assert.equal(refused, 22, `command ${type}`);
  }
  const flush = '21e41c71 0000 0003 000000000000000a 0000000000000000 0000000000000000';
  await converse(client, flush, '6e8a278c 0001 0000 000000000000000a 0000000000000000 0000000000000000');
});

test('a write without PAYLOAD_LEN has no payload and is refused', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  const refused = await errorAfter(
    client,
    '21e41c71 0000 0001 000000000000000b 0000000000000000 0000000000000004',
    '6e8a278c 0001 8001 000000000000000b 0000000000000000',
  );
  assert.equal(refused, 22);
  const flush = '21e41c71 0000 0003 000000000000000c 0000000000000000 0000000000000000';
  await converse(client, flush, '6e8a278c 0001 0000 000000000000000c 0000000000000000 0000000000000000');
});

test('a compact header is not understood any more', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  client.send(hex('25609513 0000 0003 000000000000000d 0000000000000000 00000000 00000000'));
  assert.equal((await client.readToEnd()).length, 0);
});

test('extents have 64 bits, their count is right and the upper half of the status is 0 [ext-status.1] [ext-status.3] [ext-status.4] [ext-status.5] [ext-status.7]', async () => {
  await using disk = await ServedDisk.open();
  disk.node.content.fill(0x55, 0, 4096);
  const client = await extended(disk, true);
  await converse(
    client,
    '21e41c71 0000 0007 000000000000000e 0000000000000000 0000000000003000',
    `6e8a278c 0001 0006 000000000000000e 0000000000000000 0000000000000028
     00000001 00000002
     0000000000001000 0000000000000000
     0000000000002000 0000000000000003`,
  );
});

test('without extended headers extents have 32 bits [ext-status.2]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach({ structured: true, contexts: ['base:allocation'] });
  await converse(
    client,
    '25609513 0000 0007 000000000000000f 0000000000000000 00003000',
    '668e33ef 0001 0005 000000000000000f 0000000c 00000001 00003000 00000003',
  );
});

test('a BLOCK_STATUS may name the contexts and the length in its payload [ext-payload.5]', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk, true);
  await converse(
    client,
    '21e41c71 0020 0007 0000000000000010 0000000000001000 000000000000000c 0000000000000200 00000001',
    `6e8a278c 0001 0006 0000000000000010 0000000000001000 0000000000000018
     00000001 00000001 0000000000000200 0000000000000003`,
  );
});

for (const [what, length, payload] of [
  ['an unknown context', '0c', '0000000000000200 00000063'],
  ['a context twice', '10', '0000000000000200 00000001 00000001'],
  ['half a context', '0a', '0000000000000200 0000'],
  ['half a length', '04', '00000200'],
] as const) {
  test(`a BLOCK_STATUS whose payload has ${what} is refused, and the next command is understood [ext-payload.4] [ext-payload.5]`, async () => {
    await using disk = await ServedDisk.open();
    const client = await extended(disk, true);
    const refused = await errorAfter(
      client,
      `21e41c71 0020 0007 0000000000000011 0000000000000000 00000000000000${length} ${payload}`,
      '6e8a278c 0001 8001 0000000000000011 0000000000000000',
    );
    assert.equal(refused, 22);
    const flush = '21e41c71 0000 0003 0000000000000012 0000000000000000 0000000000000000';
    await converse(client, flush, '6e8a278c 0001 0000 0000000000000012 0000000000000000 0000000000000000');
  });
}

test('EXPORT_NAME after extended headers ends the connection', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  await client.haggle(OPT.EXTENDED_HEADERS);
  client.send(hex('49484156454f5054 00000001 00000004 6469736b'));
  assert.equal((await client.readToEnd()).length, 0);
});

test('DISC ends the connection', async () => {
  await using disk = await ServedDisk.open();
  const client = await extended(disk);
  client.send(hex('21e41c71 0000 0002 0000000000000013 0000000000000000 0000000000000000'));
  assert.equal((await client.readToEnd()).length, 0);
});
