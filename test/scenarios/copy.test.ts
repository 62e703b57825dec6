import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { watch } from 'node:fs';
import { chmod, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { NbdPeer } from '../support/nbd-peer.ts';
import { Program, type ProgramEnd } from '../support/program.ts';
import { buildRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { TlsFiles } from '../support/tls-files.ts';

const MIB = 1024 * 1024;
/** Not a multiple of anything but 512. */
const SIZE = 12 * MIB + 512;
const DATA_AT = 3 * MIB + 100;
const DATA = randomFillSync(Buffer.alloc(2 * MIB));

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await TemporaryFolder.create('memory');
  await makeImage(folder.file('disk.img'));
});
afterEach(() => folder[Symbol.asyncDispose]());

async function makeImage(path: string): Promise<void> {
  const image = await open(path, 'w');
  await image.truncate(SIZE);
  await image.write(DATA, 0, DATA.length, DATA_AT);
  await image.close();
}

function start(...args: readonly string[]): Program {
  return Program.colobus(['copy', ...args], { cwd: folder.path });
}

async function copy(...args: readonly string[]): Promise<ProgramEnd> {
  await using program = start(...args);
  return await program.ended();
}

async function succeeds(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await copy(...args);
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  assert.match(stdout, /^Copied 12\.0 MiB \([^\n]+\n$/);
  return stdout;
}

/** Holds for the end of every command that does not succeed; returns its line. */
function oneLine({ stdout, stderr }: ProgramEnd): string {
  assert.equal(stdout, '');
  assert.match(stderr, /^colobus: [^\n]+, colobus copy, [^\n]+\n$/);
  return stderr;
}

async function expectCopy(name: string): Promise<void> {
  assert.ok((await readFile(folder.file(name))).equals(await readFile(folder.file('disk.img'))), name);
}

async function blocks(name: string): Promise<number> {
  return (await stat(folder.file(name))).blocks;
}

/** Resolves when nbdkit's log filter has noted `what` in the file `name`; the watcher was there before the file. */
async function logged(name: string, what: string): Promise<void> {
  await new Promise<void>(resolve => {
    const look = async (): Promise<void> => {
      const text = await readFile(folder.file(name), 'utf8').catch(() => '');
      if (!text.includes(what)) return;
      watcher.close();
      resolve();
    };
    const watcher = watch(folder.path, () => void look());
    void look();
  });
}

describe('colobus copy', () => {
  it('creates the target with the data and the holes of the source, and again over what is there', async () => {
    const said = await succeeds('disk.img', 'copy.img', '--verify');
    assert.match(said, /\(2\.0 MiB of data, 10\.0 MiB of zeroes\)/);
    assert.match(said, /and verified it\n$/);
    await expectCopy('copy.img');
    assert.equal(await blocks('copy.img'), await blocks('disk.img'));
    await writeFile(folder.file('full.img'), Buffer.alloc(SIZE, 0xee));
    await succeeds('disk.img', 'full.img');
    await expectCopy('full.img');
    // The page with the odd tail cannot be punched.
    assert.ok((await blocks('full.img')) <= (await blocks('disk.img')) + 8);
  });

  it('writes to a larger target with a note and leaves what lies behind', async () => {
    await writeFile(folder.file('large.img'), Buffer.alloc(SIZE + 512, 0xee));
    const { exitCode, stderr } = await copy('disk.img', 'large.img', '--verify', '--progress');
    assert.equal(exitCode, 0);
    assert.match(stderr, /^The target is 512 B \(512 bytes\) larger than the source; what it has there stays\n/);
    assert.match(stderr, /^verify █{24} 100 % {2}12\.0 MiB of 12\.0 MiB/m);
    const large = await readFile(folder.file('large.img'));
    assert.ok(large.subarray(0, SIZE).equals(await readFile(folder.file('disk.img'))));
    assert.deepEqual(large.subarray(SIZE), Buffer.alloc(512, 0xee));
  });

  it('takes credentials for both kinds of TLS', async () => {
    await using files = await TlsFiles.create();
    await using keyed = await NbdPeer.nbdkit('--tls=require', `--tls-psk=${files.keys}`, 'memory', String(SIZE));
    await using certified = await NbdPeer.nbdkit(
      ...['--tls=require', `--tls-certificates=${files.directory}`, 'memory', String(SIZE)],
    );
    const alice = `nbds+unix://alice@/?socket=${keyed.socket}`;
    await succeeds('disk.img', alice, '--tls-psk', files.keys);
    const from = `nbds+unix://alice@/?socket=${keyed.socket}&tls-psk-file=${files.keys}`;
    await succeeds(from, `nbds+unix:///?socket=${certified.socket}`, '--tls-certificates', files.directory, '--verify');
  });
});

describe('colobus copy refuses', () => {
  it('what cannot be copied, with one line and exit code 2, and touches nothing', async () => {
    await writeFile(folder.file('small.img'), Buffer.alloc(MIB, 1));
    await writeFile(folder.file('sealed.img'), Buffer.alloc(SIZE, 1));
    await chmod(folder.file('sealed.img'), 0o444);
    const before = await contents();
    await using sealed = await NbdPeer.nbdkit('-r', 'memory', String(SIZE));
    await using small = await NbdPeer.nbdkit('memory', '1M');
    const refused: readonly (readonly [args: readonly string[], says: RegExp])[] = [
      [['none.img', 'copy.img'], /Could not open 'none\.img': No such file or directory/],
      [['disk.img', 'small.img'], /'small\.img' has 1048576 bytes and the source 12583424, .*make the target larger/],
      [['disk.img', 'none/copy.img'], /'none\/copy\.img' cannot be created/],
      [['disk.img', 'sealed.img'], /target 'sealed\.img' is read-only/],
      [['disk.img', './disk.img'], /'disk\.img' would be copied to itself/],
      [['disk.img', sealed.uri()], /target 'nbd\+unix:[^']+' is read-only/],
      [['disk.img', small.uri()], /has 1048576 bytes and the source/],
      [['nbd+unix:///?socket=none', 'copy.img'], /Cannot connect to the NBD server at none: no such socket/],
      [['disk.img', 'copy.img', '--request-size', '5000'], /--request-size '5000'/],
    ];
    const ends = await Promise.all(refused.map(([args]) => copy(...args)));
    for (const [index, end] of ends.entries()) {
      assert.match(oneLine(end), refused[index]?.[1] ?? /^$/);
      assert.equal(end.exitCode, 2, refused[index]?.[0].join(' '));
    }
    assert.deepEqual(await contents(), before);
  });

  async function contents(): Promise<Record<string, string>> {
    const names = (await readdir(folder.path)).sort();
    const files = await Promise.all(names.map(name => readFile(folder.file(name), 'latin1')));
    return Object.fromEntries(names.map((name, index) => [name, files[index] ?? '']));
  }

  it('an image that another process writes, unless it may change under the copy, and a target in use in any case', async () => {
    await using server = Program.colobus(['serve', 'disk.img', '--socket', 'socket'], { cwd: folder.path });
    await server.firstLine();
    const refused = await copy('disk.img', 'copy.img');
    assert.equal(refused.exitCode, 2);
    assert.match(oneLine(refused), /'disk\.img' is in use by another process, .*--force-share/);
    assert.deepEqual((await readdir(folder.path)).sort(), ['disk.img', 'socket']);
    await succeeds('disk.img', 'copy.img', '--force-share');
    await expectCopy('copy.img');
    const target = await copy('copy.img', 'disk.img', '--force-share');
    assert.equal(target.exitCode, 2);
    assert.match(oneLine(target), /'disk\.img' is in use by another process, .*stop that first\n$/);
  });

  it('to leave a target behind that cannot have its size', async () => {
    const colobus = [process.execPath, join(buildRoot, 'test/support/colobus-entry.js')];
    const limit = [`--fsize=${MIB}`, ...colobus, 'copy', 'disk.img', 'copy.img'];
    await using limited = Program.start('prlimit', limit, { cwd: folder.path });
    const end = await limited.ended();
    assert.equal(end.exitCode, 2);
    assert.match(oneLine(end), /'copy\.img' cannot be created: EFBIG/);
    assert.deepEqual(await readdir(folder.path), ['disk.img']);
  });
});

describe('a copy that fails midway ends with exit code 1 and says that the target is incomplete:', () => {
  it('a server that dies', async () => {
    await using peer = await slowServer('log');
    await using program = start('disk.img', peer.uri());
    await logged('log', 'Write');
    peer.kill();
    const end = await program.ended();
    assert.equal(end.exitCode, 1);
    assert.match(oneLine(end), /target '[^']+': ECONNRESET \(The connection [^\n]+ was lost.*the target is incomplete/);
  });

  it('a user who does not want to wait', async () => {
    await using peer = await slowServer('log');
    await using program = start('disk.img', peer.uri());
    await logged('log', 'Write');
    program.signal('SIGINT');
    const end = await program.ended(2000);
    assert.equal(end.exitCode, 1);
    assert.match(oneLine(end), /The copy was interrupted, colobus copy, the target is incomplete: copy again/);
  });

  /** A server that takes ten minutes for a write, which it notes in the file `log` first. */
  async function slowServer(log: string): Promise<NbdPeer> {
    const filters = ['--filter=log', '--filter=delay', 'memory', String(SIZE)];
    return await NbdPeer.nbdkit(...filters, `logfile=${folder.file(log)}`, 'wdelay=600');
  }
});

it('--verify finds the first byte that the target does not give back', async () => {
  // It takes all writes and gives zeroes back.
  await using peer = await NbdPeer.nbdkit('null', String(SIZE));
  const end = await copy('disk.img', peer.uri(), '--verify', '--request-size', '64K');
  const first = DATA_AT + DATA.findIndex(byte => byte !== 0);
  assert.equal(end.exitCode, 1);
  assert.match(oneLine(end), new RegExp(`target '[^']+' differs from the source from byte ${first} on, .*copy again`));
});
