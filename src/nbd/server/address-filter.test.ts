import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { UsageError } from '../../base/errors.ts';
import { AddressFilter } from './address-filter.ts';
import { NbdServer } from './nbd-server.ts';

for (const [rule, admitted, refused] of [
  ['10.0.0.1', ['10.0.0.1', '::ffff:10.0.0.1'], ['10.0.0.10', '10.0.0.11', '110.0.0.1', '10.0.0.2', '::1']],
  ['10.0.0.10', ['10.0.0.10'], ['10.0.0.1', '10.0.0.100']],
  ['10.1.0.0/16', ['10.1.0.0', '10.1.255.255', '::ffff:10.1.2.3'], ['10.2.0.0', '10.0.255.255', '101.0.0.0']],
  ['10.0.0.128/25', ['10.0.0.128', '10.0.0.255'], ['10.0.0.127', '10.0.1.128']],
  ['192.0.2.7/32', ['192.0.2.7'], ['192.0.2.6', '192.0.2.70']],
  ['0.0.0.0/0', ['1.2.3.4', '255.255.255.255'], ['::1', '2001:db8::1']],
  ['::ffff:10.0.0.1', ['10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1'], ['10.0.0.10', '::1']],
  ['::ffff:10.0.0.0/104', ['10.9.9.9', '::ffff:10.9.9.9'], ['11.0.0.0']],
  ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::10', '::2', '127.0.0.1']],
  ['2001:db8::/32', ['2001:db8::1', '2001:0db8:ffff::'], ['2001:db9::', '2001:db80::']],
  ['fe80::/10', ['fe80::1%eth0', 'febf::1'], ['fec0::1']],
] as const) {
  test(`${rule} lets in exactly the addresses it covers (CVE-2013-6410)`, () => {
    const filter = new AddressFilter([rule]);
    for (const address of admitted) assert.equal(filter.admits(address), true, address);
    for (const address of refused) assert.equal(filter.admits(address), false, address);
  });
}

test('several rules let in what any of them does, none lets nobody in', () => {
  const filter = new AddressFilter(['10.0.0.1', '::1']);
  assert.deepEqual([filter.admits('10.0.0.1'), filter.admits('::1'), filter.admits('10.0.0.2')], [true, true, false]);
  assert.equal(new AddressFilter([]).admits('127.0.0.1'), false);
  assert.equal(new AddressFilter(['0.0.0.0/0']).admits('nonsense'), false);
});

for (const rule of [
  '',
  'localhost',
  '10.0.0',
  '10.0.0.1/33',
  '10.0.0.1/-1',
  '10.0.0.1/8/8',
  '10.0.0.1/',
  '::1/129',
  '::ffff:1.2.3.4/95',
]) {
  test(`'${rule}' is not a rule`, () => {
    assert.throws(() => new AddressFilter([rule]), UsageError);
  });
}

test('a client from an address that is not allowed is turned away before a word', async () => {
  for (const [allow, greeted] of [
    [['127.0.0.10'], 0],
    [['127.0.0.1'], 18],
  ] as const) {
    await using server = await NbdServer.listen({ host: '127.0.0.1', port: 0 }, { allow });
    assert.ok('port' in server.address);
    const socket = connect(server.address.port, '127.0.0.1');
    const bytes = await new Promise<number>((resolve, reject) => {
      socket.once('data', chunk => resolve(chunk.length));
      socket.once('end', () => resolve(0));
      socket.once('error', reject);
    });
    socket.destroy();
    assert.equal(bytes, greeted);
  }
});
