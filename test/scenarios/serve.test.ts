import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Program } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const SIZE = 1024 * 1024;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await TemporaryFolder.create('memory');
  writeFileSync(folder.file('disk.img'), '');
  truncateSync(folder.file('disk.img'), SIZE);
});
afterEach(() => folder[Symbol.asyncDispose]());

function serve(...args: readonly string[]): Program {
  return Program.colobus(['serve', ...args], { cwd: folder.path });
}

async function peer(file: string, ...args: readonly string[]): Promise<string> {
  await using program = Program.start(file, args, { cwd: folder.path });
  const { exitCode, stdout, stderr } = await program.ended();
  assert.equal(exitCode, 0, stderr);
  return stdout;
}

const REFUSED: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [[], /Missing required argument 'image'/],
  [['none.img', '--socket', 's'], /Could not open 'none\.img': No such file or directory/],
  [['.', '--socket', 's'], /Image '\.' is a directory/],
  [['empty.img', '--socket', 's'], /Image 'empty\.img' has length 0/],
  [['sealed.img', '--socket', 's'], /Image 'sealed\.img' is read-only/],
  [['disk.img', '--socket', 'x'.repeat(108)], /has 108 bytes, more than the 107/],
  [['disk.img', '--socket', 'none/s'], /Failed to bind socket to none\/s: No such file or directory/],
  [['disk.img', '--socket', 'disk.img'], /'disk\.img' exists and is not a socket/],
  [['disk.img', '--socket', 's', '--port', '1'], /--socket excludes --port and --host/],
  [['disk.img', '--port', '65536'], /Port '65536' is not a number from 0 to 65535/],
  [['disk.img', '--max-connections', '0'], /--max-connections '0' is not a number/],
  [['disk.img', '--socket', 's', '--export', 'x'.repeat(4097)], /name or description that NBD cannot carry/],
  [['disk.img', '--sighs'], /Unknown option '--sighs'/],
  [['disk.img', 'other.img'], /Too many arguments/],
];

describe('colobus serve', () => {
  for (const [args, says] of REFUSED) {
    it(`refuses ${args.join(' ').slice(0, 100)} with one line and exit code 2, and leaves nothing`, async () => {
      writeFileSync(folder.file('empty.img'), '');
      writeFileSync(folder.file('sealed.img'), 'x');
      chmodSync(folder.file('sealed.img'), 0o444);
      await using server = serve(...args);
      const { exitCode, stdout, stderr } = await server.ended();
      assert.match(stderr, /^colobus: [^\n]+, [^\n]+, [^\n]+\n$/);
      assert.match(stderr, says);
      assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' });
      assert.deepEqual((await readdir(folder.path)).sort(), ['disk.img', 'empty.img', 'sealed.img']);
    });
  }

  it('prints its URI once it listens on a socket of its owner, serves real clients, and ends in order', async () => {
    const options = ['--export', 'a disk', '--description', 'the only one'];
    await using server = serve('disk.img', '--socket', folder.file('nbd.sock'), ...options);
    const uri = await server.firstLine();
    assert.equal(uri, `nbd+unix:///a%20disk?socket=${folder.file('nbd.sock')}`);
    assert.equal(statSync(folder.file('nbd.sock')).mode & 0o777, 0o600);
    const { exports } = JSON.parse(await peer('nbdinfo', '--json', uri)) as { exports: Record<string, unknown>[] };
    assert.equal(exports[0]?.['export-name'], 'a disk');
    assert.equal(exports[0]?.description, 'the only one');
    assert.equal(exports[0]?.['export-size'], SIZE);
    assert.equal(exports[0]?.is_read_only, false);
    await peer('qemu-io', '-f', 'raw', '-c', 'write -P 0x5a 4096 8192', uri);
    server.signal('SIGTERM');
    assert.deepEqual(await server.ended(), { exitCode: 0, stdout: `${uri}\n`, stderr: '' });
    assert.deepEqual(await readdir(folder.path), ['disk.img']);
    assert.deepEqual(readFileSync(folder.file('disk.img')).subarray(4096, 12288), Buffer.alloc(8192, 0x5a));
  });

  it('takes its options before the image too, and any free port', async () => {
    await using server = serve('--read-only', '--port', '0', 'disk.img');
    const uri = await server.firstLine();
    assert.match(uri, /^nbd:\/\/127\.0\.0\.1:[1-9]\d*\/$/);
    await using client = await NbdClient.connect(uri);
    assert.equal(client.sizeBytes, SIZE);
    await assert.rejects(client.write(0, Buffer.alloc(512)));
    server.signal('SIGINT');
    assert.equal((await server.ended()).exitCode, 0);
  });

  it('says which socket or port is in use', async () => {
    await using first = serve('disk.img', '--socket', 'nbd.sock');
    await first.firstLine();
    writeFileSync(folder.file('other.img'), 'x');
    await using second = serve('other.img', '--socket', 'nbd.sock');
    assert.match((await second.ended()).stderr, /^colobus: Socket 'nbd\.sock' is in use, [^\n]+\n$/);
    const holder = createServer().listen(0, '127.0.0.1');
    try {
      await once(holder, 'listening');
      const { port } = holder.address() as { port: number };
      await using third = serve('other.img', '--port', String(port));
      assert.match(
        (await third.ended()).stderr,
        new RegExp(`^colobus: Port ${port} on 127\\.0\\.0\\.1 is in use, [^\n]+\n$`),
      );
    } finally {
      holder.close();
    }
  });

  it('replaces the socket of a killed server', async () => {
    {
      await using killed = serve('disk.img', '--socket', 'nbd.sock');
      await killed.firstLine();
    }
    assert.ok(statSync(folder.file('nbd.sock')).isSocket());
    await using server = serve('disk.img', '--socket', folder.file('nbd.sock'));
    await using client = await NbdClient.connect(await server.firstLine());
    assert.equal(client.sizeBytes, SIZE);
  });

  it('refuses an image that another process writes, in Colobus or in QEMU, unless forced to read it', async () => {
    await using first = serve('disk.img', '--socket', folder.file('nbd.sock'));
    await first.firstLine();
    await using second = serve('disk.img', '--socket', 'second.sock');
    const { exitCode, stderr } = await second.ended();
    assert.equal(exitCode, 2);
    assert.match(stderr, /^colobus: Image 'disk\.img' is in use by another process/);
    await using qemu = Program.start('qemu-io', ['-f', 'raw', '-c', 'write 0 512', folder.file('disk.img')]);
    assert.match((await qemu.ended()).stderr, /Failed to get "write" lock/);
    await using reader = serve('disk.img', '--force-share', '--socket', folder.file('reader.sock'));
    await using client = await NbdClient.connect(await reader.firstLine());
    assert.equal(client.info.readOnly, true);
  });

  it('turns away the client that is one too many', async () => {
    await using server = serve('disk.img', '--max-connections', '1', '--socket', folder.file('nbd.sock'));
    const uri = await server.firstLine();
    await using client = await NbdClient.connect(uri);
    await assert.rejects(NbdClient.connect(uri));
    assert.equal((await client.read(0, 512)).length, 512);
  });
});

describe('colobus', () => {
  it('prints help and version for itself and for every command', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    for (const command of [[], ['serve'], ['storage-daemon'], ['info'], ['copy']]) {
      await using help = Program.colobus([...command, '--help']);
      const shown = await help.ended();
      assert.deepEqual([shown.exitCode, shown.stderr], [0, '']);
      assert.match(shown.stdout, /^Usage: colobus/);
      await using asked = Program.colobus([...command, '--version']);
      assert.deepEqual(await asked.ended(), { exitCode: 0, stdout: `${version}\n`, stderr: '' });
    }
  });

  it('refuses no command, an unknown one and an unknown log level with one line and exit code 2', async () => {
    for (const args of [[], ['sigh'], ['serve', 'x.img', '--log-level', 'loud']]) {
      await using program = Program.colobus(args);
      const { exitCode, stdout, stderr } = await program.ended();
      assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' });
      assert.match(stderr, /^colobus: [^\n]+, command line, see 'colobus --help'\n$/);
    }
  });
});
