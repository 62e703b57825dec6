import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { type ImageUse, lockImage } from './image-lock.ts';

/** An image of 1 MiB that is there as long as the test. */
async function imageIn(folder: TemporaryFolder): Promise<string> {
  const image = folder.file('image');
  writeFileSync(image, Buffer.alloc(1024 * 1024));
  return image;
}

function openFor(image: string, use: ImageUse): number {
  return openSync(image, use === 'write' ? 'r+' : 'r');
}

/** What a second user of `image` is told, without keeping the lock. */
function tryLock(image: string, use: ImageUse): string {
  const fd = openFor(image, use);
  try {
    return lockImage(fd, use);
  } finally {
    closeSync(fd);
  }
}

/** A program that has an image open until it is disposed. */
class Holder implements AsyncDisposable {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Resolves when `program`, having been told `input`, has said `ready`. */
  static async start(
    parameters: readonly [program: string, ...string[]],
    input: string,
    ready: string,
  ): Promise<Holder> {
    const [program, ...rest] = parameters;
    const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.write(input);
    let output = '';
    while (!output.includes(ready)) {
      const [data] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
      output += data;
    }
    return new Holder(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

test('a second writer and a reader are refused while a writer has the image, and let in afterwards', async () => {
  await using folder = await TemporaryFolder.create();
  const image = await imageIn(folder);
  const fd = openFor(image, 'write');
  assert.equal(lockImage(fd, 'write'), 'locked');
  assert.equal(tryLock(image, 'write'), 'in-use');
  assert.equal(tryLock(image, 'read'), 'in-use');
  closeSync(fd);
  assert.equal(tryLock(image, 'write'), 'locked');
});

test('a reader that shares reads beside a writer, and neither is in the way of the other', async () => {
  await using folder = await TemporaryFolder.create();
  const image = await imageIn(folder);
  const fd = openFor(image, 'read-shared');
  assert.equal(lockImage(fd, 'read-shared'), 'locked');
  assert.equal(tryLock(image, 'write'), 'locked');
  await using _writer = await Holder.start(['qemu-io', '-f', 'raw', image], '', 'qemu-io>');
  assert.equal(tryLock(image, 'read-shared'), 'locked');
  closeSync(fd);
});

test('readers share an image and keep writers away', async () => {
  await using folder = await TemporaryFolder.create();
  const image = await imageIn(folder);
  const fd = openFor(image, 'read');
  assert.equal(lockImage(fd, 'read'), 'locked');
  assert.equal(tryLock(image, 'read'), 'locked');
  assert.equal(tryLock(image, 'write'), 'in-use');
  closeSync(fd);
});

test('an image that qemu-io has open for writing is in use', async () => {
  await using folder = await TemporaryFolder.create();
  const image = await imageIn(folder);
  await using _writer = await Holder.start(['qemu-io', '-f', 'raw', image], '', 'qemu-io>');
  assert.equal(tryLock(image, 'write'), 'in-use');
  assert.equal(tryLock(image, 'read'), 'in-use');
});

test('an image that qemu-io has open for reading can be read and written, as QEMU itself allows', async () => {
  await using folder = await TemporaryFolder.create();
  const image = await imageIn(folder);
  await using _reader = await Holder.start(['qemu-io', '-r', '-f', 'raw', image], '', 'qemu-io>');
  assert.equal(tryLock(image, 'read'), 'locked');
  assert.equal(tryLock(image, 'write'), 'locked');
});

test('the disk of a virtual machine in QEMU is in use', async () => {
  await using folder = await TemporaryFolder.create();
  const image = await imageIn(folder);
  const machine = ['-M', 'pc', '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'];
  const drive = ['-drive', `if=virtio,format=raw,file=${image}`];
  // Its monitor answers when the machine is complete.
  const input = '{"execute":"qmp_capabilities"}\n';
  await using _machine = await Holder.start(['qemu-system-x86_64', ...machine, ...drive], input, '"return"');
  assert.equal(tryLock(image, 'write'), 'in-use');
});

test('QEMU neither writes nor converts an image that is written here, but shows it', async () => {
  await using folder = await TemporaryFolder.create();
  const image = await imageIn(folder);
  const fd = openFor(image, 'write');
  assert.equal(lockImage(fd, 'write'), 'locked');
  const write = spawnSync('qemu-io', ['-f', 'raw', '-c', 'write 0 512', image], { encoding: 'utf8' });
  assert.equal(write.status, 1);
  assert.match(write.stderr, /Failed to get "write" lock/);
  const convert = spawnSync('qemu-img', ['convert', '-f', 'raw', image, folder.file('copy')], { encoding: 'utf8' });
  assert.equal(convert.status, 1);
  assert.match(convert.stderr, /Failed to get shared "write" lock/);
  assert.equal(spawnSync('qemu-img', ['info', '-U', '-f', 'raw', image]).status, 0);
  closeSync(fd);
});
