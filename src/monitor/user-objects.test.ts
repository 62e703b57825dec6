import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { TlsFiles } from '../../test/support/tls-files.ts';
import { systemClock } from '../base/clock.ts';
import { UsageError } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { ThrottleGroup } from '../drivers/throttle/throttle-group.ts';
import { OBJECT_DEFINITION, UserObjects } from './user-objects.ts';

let files: TlsFiles;
before(async () => {
  files = await TlsFiles.create();
});
after(() => files[Symbol.asyncDispose]());

const says = (text: RegExp) => (error: unknown) => error instanceof UsageError && text.test(error.message);

async function add(objects: UserObjects, definition: object): Promise<void> {
  await objects.add(OBJECT_DEFINITION.parse(definition));
}

test('certificates verify the peer unless told not to, and serve the end they were made for', async () => {
  const objects = new UserObjects(silentLogger, systemClock);
  const definition = { 'qom-type': 'tls-creds-x509', dir: files.directory };
  await add(objects, { ...definition, id: 'server', endpoint: 'server' });
  await add(objects, { ...definition, id: 'lax', endpoint: 'server', 'verify-peer': false });
  await add(objects, { ...definition, id: 'client' });
  assert.deepEqual(
    ['server', 'lax'].map(id => {
      const credentials = objects.tlsCredentials(id, 'server');
      return credentials.kind === 'x509' && credentials.verifyPeer;
    }),
    [true, false],
  );
  assert.equal(objects.tlsCredentials('client', 'client'), objects.find('client'));
  assert.throws(
    () => objects.tlsCredentials('client', 'server'),
    says(/Expected TLS credentials for a server endpoint/),
  );
  assert.throws(() => objects.tlsCredentials('nobody', 'server'), says(/No TLS credentials with id 'nobody'/));
});

test('keys come from keys.psk in the directory', async () => {
  const objects = new UserObjects(silentLogger, systemClock);
  const dir = join(files.keys, '..');
  await add(objects, { 'qom-type': 'tls-creds-psk', id: 'tls0', dir, endpoint: 'server' });
  const credentials = objects.tlsCredentials('tls0', 'server');
  assert.deepEqual(credentials.kind === 'psk' && [...credentials.keys.keys()], ['alice', 'bob']);
  await assert.rejects(add(objects, { 'qom-type': 'tls-creds-psk', id: 'tls1', dir }), says(/no key of 'qemu'/));
  await add(objects, { 'qom-type': 'tls-creds-psk', id: 'tls1', dir, username: 'bob' });
});

test('a secret opens the encrypted key of a certificate', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const dir = folder.file('pki');
  await mkdir(dir);
  execFileSync('cp', [join(files.directory, 'ca-cert.pem'), join(files.directory, 'server-cert.pem'), dir]);
  const key = join(files.directory, 'server-key.pem');
  execFileSync(
    'certtool',
    ['--to-p8', '--load-privkey', key, '--password', 'sesame', '--outfile', join(dir, 'server-key.pem')],
    {
      stdio: 'ignore',
    },
  );
  await writeFile(folder.file('secret'), 'c2VzYW1l');
  const objects = new UserObjects(silentLogger, systemClock);
  await add(objects, { 'qom-type': 'secret', id: 'wrong', data: 'open' });
  await add(objects, { 'qom-type': 'secret', id: 'right', file: folder.file('secret'), format: 'base64' });
  const definition = { 'qom-type': 'tls-creds-x509', id: 'tls0', dir, endpoint: 'server' };
  await assert.rejects(add(objects, definition), says(/cannot be used/));
  await assert.rejects(add(objects, { ...definition, passwordid: 'wrong' }), says(/cannot be used/));
  await assert.rejects(add(objects, { ...definition, passwordid: 'nobody' }), says(/No secret with id 'nobody'/));
  await add(objects, { ...definition, passwordid: 'right' });
  assert.throws(() => objects.tlsCredentials('right', 'server'), says(/is not TLS credentials/));
});

test('an id is used once, and free again when its object is gone', async () => {
  const objects = new UserObjects(silentLogger, systemClock);
  const definition = { 'qom-type': 'secret', id: 's', data: 'x' };
  await add(objects, definition);
  await assert.rejects(add(objects, definition), says(/duplicate property 's'/));
  objects.remove('s');
  assert.equal(objects.find('s'), undefined);
  assert.throws(() => objects.remove('s'), says(/object 's' not found/));
  await add(objects, definition);
  await assert.rejects(add(objects, { ...definition, id: '1' }), says(/identifier/));
  await assert.rejects(add(objects, { 'qom-type': 'secret', id: 't' }), says(/'file' or 'data'/));
});

test('a throttle group takes its limits as one member or as properties of their own, and stays while a node is in it', async () => {
  const objects = new UserObjects(silentLogger, systemClock);
  const definition = { 'qom-type': 'throttle-group', id: 'g' };
  await assert.rejects(
    add(objects, { ...definition, limits: { 'iops-total': 5, 'iops-read': 1 } }),
    says(/^bps\/iops\/max total values and read\/write values cannot be used at the same time$/),
  );
  await assert.rejects(
    add(objects, { ...definition, 'x-iops-total': -1 }),
    says(/^Property values cannot be negative$/),
  );
  // The limit in `limits` counts: with that of the property the burst would be below the rate.
  await add(objects, { ...definition, 'x-iops-total': 100, limits: { 'iops-total': 5, 'iops-total-max': 50 } });
  const group = objects.find('g');
  assert.ok(group instanceof ThrottleGroup);
  const member = group.join({ pass: () => {} });
  assert.throws(() => objects.remove('g'), says(/^object 'g' is in use, can not be deleted$/));
  member.leave();
  objects.remove('g');
  assert.throws(() => objects.remove('g'), says(/^object 'g' not found$/));
});
