import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { CharacterDevice } from './character-device.ts';
import { CharacterDevices } from './character-devices.ts';

test('clients that come before somebody is attached wait, and lose nothing they said', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('socket');
  await using device = await CharacterDevice.listen('c', { path });
  const early = connect(path);
  early.write('early');
  await once(early, 'connect');
  // A second connection that is there says that the first one is.
  const second = connect(path);
  await once(second, 'connect');
  const clients: Duplex[] = [];
  const both = new Promise<void>(resolve => {
    device.attach(client => {
      clients.push(client);
      if (clients.length === 2) resolve();
    });
  });
  await both;
  assert.equal(device.isAttached, true);
  const [first] = clients as [Duplex];
  assert.equal(String((await once(first.resume(), 'data'))[0]), 'early');
  device.disconnectClients();
  await Promise.all([once(early, 'close'), once(second, 'close')]);
});

test('a device that is disposed leaves neither socket nor client', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('socket');
  const device = await CharacterDevice.listen('c', { path });
  device.attach(() => {});
  const client = connect(path);
  await once(client, 'connect');
  await device[Symbol.asyncDispose]();
  await once(client.resume(), 'close');
  assert.equal(existsSync(path), false);
});

test('an id is used once', async () => {
  await using devices = new CharacterDevices();
  const open = async (): Promise<CharacterDevice> => CharacterDevice.empty('c');
  await devices.add('c', open);
  const never = (): never => assert.fail('A device with a bad id is not opened');
  await assert.rejects(devices.add('c', never), /^UsageError: Chardev with id 'c' already exists/);
  await assert.rejects(devices.add('1', never), /^UsageError: Parameter 'id' expects an identifier/);
  assert.deepEqual(
    devices.list().map(({ id }) => id),
    ['c'],
  );
});
