/**
 * Bad input: one line on stderr that names the thing and says what to do, exit code 2, and a folder as it was before.
 *
 * Every bad image is given to `serve` and to `storage-daemon`, which by then has a socket and a good node to take back.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Program } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await TemporaryFolder.create('memory');
  for (const name of ['disk.img', 'other.img', 'short.img', 'sealed.img', 'empty.img']) {
    await writeFile(folder.file(name), '');
  }
  for (const name of ['disk.img', 'other.img', 'sealed.img']) await truncate(folder.file(name), MIB);
  await truncate(folder.file('short.img'), MIB - 4096);
  await chmod(folder.file('sealed.img'), 0o444);
  await mkdir(folder.file('folder'));
});
afterEach(() => folder[Symbol.asyncDispose]());

/** All that is in the folder, but for sockets that a test listens on. */
async function inventory(): Promise<readonly string[]> {
  const names = (await readdir(folder.path)).sort();
  return await Promise.all(
    names.map(async name => {
      const { size, mode, mtimeMs } = await stat(folder.file(name));
      const content = name.endsWith('.img')
        ? (await readFile(folder.file(name))).toString('latin1').replace(/\0+$/, '')
        : '';
      return `${name} ${size} ${mode} ${mtimeMs} ${content}`;
    }),
  );
}

/** Runs `colobus` in the folder; it must refuse with one line that says all of `says`, and leave the folder alone. */
async function assertRefuses(args: readonly string[], ...says: readonly RegExp[]): Promise<void> {
  const before = await inventory();
  await using program = Program.colobus(args, { cwd: folder.path });
  const { exitCode, stdout, stderr } = await program.ended();
  assert.match(stderr, /^colobus: [^\n,]+, [^\n]+, [^\n]+\n$/);
  for (const pattern of says) assert.match(stderr, pattern);
  assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' });
  assert.deepEqual(await inventory(), before);
}

const SERVER = ['--nbd-server', 'addr.type=unix,addr.path=nbd.sock'];
const GOOD_NODE = [
  '--blockdev',
  'driver=file,node-name=good,filename=other.img',
  '--export',
  'nbd,id=good,node-name=good',
];

function daemonOver(filename: string): readonly string[] {
  const node = ['--blockdev', `driver=file,node-name=disk,filename=${filename}`];
  const disk = ['--export', 'nbd,id=disk,node-name=disk,writable=on'];
  return ['storage-daemon', ...SERVER, ...GOOD_NODE, ...node, ...disk, '--pidfile', 'pid'];
}

/** Both commands refuse the image. */
async function assertBothRefuse(filename: string, ...says: readonly RegExp[]): Promise<void> {
  await assertRefuses(['serve', filename, '--socket', 'serve.sock'], ...says);
  await assertRefuses(daemonOver(filename), ...says);
}

describe('an image that cannot be used', () => {
  const CASES: readonly (readonly [what: string, filename: string, ...says: readonly RegExp[]])[] = [
    ['is missing', 'none.img', /Could not open 'none\.img': No such file or directory/, /check the path or create it/],
    ['is a directory', 'folder', /Image 'folder' is a directory/, /give the path of an image file/],
    ['has length 0', 'empty.img', /Image 'empty\.img' has length 0/, /truncate -s/],
    ['is read-only', 'sealed.img', /Image 'sealed\.img' is read-only/, /make it writable or open it read-only/],
    ['is no file', '/dev/null', /Image '\/dev\/null' is neither a file nor a block device/],
    ['lies below a file', 'disk.img/x', /Image 'disk\.img\/x'/],
  ];
  for (const [what, filename, ...says] of CASES) {
    it(`${what}: refused by serve and storage-daemon`, () => assertBothRefuse(filename, ...says));
  }
});

describe('an image that somebody else writes', () => {
  const IN_USE = [/Image 'disk\.img' is in use by another process or node/, /stop that first/];

  it('in another process of Colobus: refused', async () => {
    await using holder = Program.colobus(['serve', 'disk.img', '--socket', 'holder.sock'], { cwd: folder.path });
    await holder.firstLine();
    await assertBothRefuse('disk.img', ...IN_USE);
  });

  it('in qemu-nbd: refused', async () => {
    const options = ['-f', 'raw', '-t', '-k', folder.file('holder.sock'), '--pid-file', folder.file('holder.pid')];
    await using holder = Program.start('qemu-nbd', [...options, folder.file('disk.img')]);
    await holder.created(folder.file('holder.pid'), `${holder.pid}\n`);
    await assertBothRefuse('disk.img', ...IN_USE);
  });

  it('in a virtual machine: refused', async () => {
    const machine = ['-machine', 'q35,accel=tcg', '-S', '-nodefaults', '-display', 'none', '-m', '16'];
    const drive = ['-drive', `file=${folder.file('disk.img')},format=raw,if=virtio`];
    // With -daemonize the command returns when the machine is there, and its lock with it.
    const ready = ['-daemonize', '-pidfile', folder.file('holder.pid')];
    await using holder = Program.start('qemu-system-x86_64', [...machine, ...drive, ...ready]);
    const { exitCode, stderr } = await holder.ended();
    assert.equal(exitCode, 0, stderr);
    const pid = Number(await readFile(folder.file('holder.pid'), 'utf8'));
    try {
      await assertBothRefuse('disk.img', ...IN_USE);
    } finally {
      process.kill(pid, 'SIGKILL');
    }
  });

  it('in this process: refused, as is a second writer of one node', async () => {
    const disk = ['--blockdev', 'driver=file,node-name=disk,filename=disk.img'];
    const again = ['--blockdev', 'driver=file,node-name=again,filename=disk.img'];
    await assertRefuses(['storage-daemon', ...disk, ...again], ...IN_USE);
    const writers = ['a', 'b'].flatMap(id => ['--export', `nbd,id=${id},node-name=disk,name=${id},writable=on`]);
    await assertRefuses(
      ['storage-daemon', ...SERVER, ...disk, ...writers],
      /Node 'disk' is in use by export 'a', which does not share writing/,
    );
  });
});

describe('a pair that does not fit', () => {
  it('has a secondary that is shorter than its peer: refused', async () => {
    const replica = ['serve', 'short.img', '--export', 'replica', '--socket', 'replica.sock'];
    await using secondary = Program.colobus(replica, { cwd: folder.path });
    await secondary.firstLine();
    const link = 'driver=nbd,node-name=link,server.type=unix,server.path=replica.sock,export=replica';
    await assertRefuses(
      [
        ...['storage-daemon', ...SERVER, '--blockdev', 'driver=file,node-name=disk,filename=disk.img'],
        ...['--blockdev', link],
        ...['--blockdev', 'driver=replication,node-name=root,children.0=disk,children.1=link'],
      ],
      /Node 'link' has 1044480 bytes and node 'disk' has 1048576/,
      /the copies of a disk must be of one size/,
    );
  });

  it('has a secondary that does not listen: refused', () =>
    assertRefuses(
      ['storage-daemon', '--blockdev', 'driver=nbd,node-name=link,server.type=unix,server.path=none.sock'],
      /Node 'link'/,
      /none\.sock/,
    ));
});

describe('a definition that cannot be understood', () => {
  const GOOD = 'driver=file,node-name=disk,filename=disk.img';
  const CASES: readonly (readonly [what: string, options: readonly string[], ...says: readonly RegExp[]])[] = [
    [
      'an unknown driver',
      ['--blockdev', 'driver=tape,node-name=disk'],
      /'driver' does not accept value 'tape'/,
      /known are file/,
    ],
    ['an unknown option of a driver', ['--blockdev', `${GOOD},speed=5`], /'speed'/],
    ['an unknown option of the command', ['--speed', '5'], /Unknown option '--speed'/],
    ['JSON that is none', ['--blockdev', '{"driver":"file",'], /JSON parse error/, /--blockdev \{"driver":"file",/],
    ['a node-name given twice', ['--blockdev', GOOD, '--blockdev', 'driver=null,node-name=disk,size=1M'], /'disk'/],
    ['a node-name that is none', ['--blockdev', 'driver=null,node-name=1st,size=1M'], /Invalid node-name: '1st'/],
    ['an export of an unknown node', ['--export', 'nbd,id=e,node-name=none'], /node-name='none'/],
    ['an id given twice', ['--blockdev', GOOD, ...twice('nbd,id=e,node-name=disk,name=')], /Block export id 'e'/],
    ['a child that is unknown', ['--blockdev', 'driver=raw,node-name=raw,file=none'], /'none'/],
    ['a number that is none', ['--blockdev', 'driver=null,node-name=n,size=huge'], /size/],
  ];
  for (const [what, options, ...says] of CASES) {
    it(`${what}: refused`, () => assertRefuses(['storage-daemon', ...SERVER, ...options, '--pidfile', 'pid'], ...says));
  }

  it('an unknown option of serve: refused', () =>
    assertRefuses(['serve', 'disk.img', '--speed', '5'], /Unknown option '--speed'/));

  function twice(start: string): string[] {
    return ['a', 'b'].flatMap(name => ['--export', `${start}${name}`]);
  }
});

describe('an address that cannot be had', () => {
  const daemonAt = (address: string): string[] => [
    'storage-daemon',
    ...disk,
    '--nbd-server',
    address,
    '--pidfile',
    'pid',
  ];
  const disk = ['--blockdev', 'driver=file,node-name=disk,filename=disk.img'];

  it('a socket in use: refused', async () => {
    await using holder = Program.colobus(['serve', 'other.img', '--socket', 'busy.sock'], { cwd: folder.path });
    await holder.firstLine();
    const says = [/Socket 'busy\.sock' is in use/];
    await assertRefuses(['serve', 'disk.img', '--socket', 'busy.sock'], ...says);
    await assertRefuses(daemonAt('addr.type=unix,addr.path=busy.sock'), ...says);
    const monitor = ['--chardev', 'socket,id=m,path=busy.sock,server=on,wait=off', '--monitor', 'm'];
    await assertRefuses(['storage-daemon', ...disk, ...monitor], ...says);
  });

  it('a port in use: refused', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    try {
      const says = [new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use`), /choose another port/];
      await assertRefuses(['serve', 'disk.img', '--port', String(port)], ...says);
      await assertRefuses(daemonAt(`addr.type=inet,addr.host=127.0.0.1,addr.port=${port}`), ...says);
    } finally {
      holder.close();
    }
  });

  it('a socket path that is too long: refused', async () => {
    const path = `${'x'.repeat(103)}.sock`;
    const says = [/has 108 bytes, more than the 107/];
    await assertRefuses(['serve', 'disk.img', '--socket', path], ...says);
    await assertRefuses(daemonAt(`addr.type=unix,addr.path=${path}`), ...says);
    const monitor = ['--chardev', `socket,id=m,path=${path},server=on,wait=off`, '--monitor', 'm'];
    await assertRefuses(['storage-daemon', ...disk, ...monitor], ...says);
  });

  it('a folder that is not there or takes no socket: refused', async () => {
    // Nobody, not even root, makes a socket in the second.
    for (const path of ['none/nbd.sock', '/proc/nbd.sock']) {
      const says = [new RegExp(`[ ']${path}[':]`)];
      await assertRefuses(['serve', 'disk.img', '--socket', path], ...says);
      await assertRefuses(daemonAt(`addr.type=unix,addr.path=${path}`), ...says);
    }
  });

  it('the path of a file that is no socket: refused, and the file stays', async () => {
    const says = [/'other\.img' exists and is not a socket/];
    await assertRefuses(['serve', 'disk.img', '--socket', 'other.img'], ...says);
    await assertRefuses(daemonAt('addr.type=unix,addr.path=other.img'), ...says);
  });
});
