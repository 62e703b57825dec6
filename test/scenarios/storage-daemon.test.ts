import assert from 'node:assert/strict';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { QmpClient } from '../../src/monitor/index.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from '../support/daemon.ts';
import { Program, type ProgramEnd } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await TemporaryFolder.create('memory');
  writeFileSync(folder.file('disk.img'), '');
  truncateSync(folder.file('disk.img'), 1024 * 1024);
});
afterEach(() => folder[Symbol.asyncDispose]());

/** Runs `colobus storage-daemon` in the folder until it ends. */
async function run(...args: readonly string[]): Promise<ProgramEnd> {
  await using program = Program.colobus(['storage-daemon', ...args], { cwd: folder.path });
  return await program.ended();
}

const DISK = 'driver=file,node-name=disk,filename=disk.img';
const SERVER = 'addr.type=unix,addr.path=nbd.sock';
const MONITOR = ['--chardev', 'socket,id=c,path=qmp.sock,server=on,wait=off', '--monitor', 'c'];

/** Options that cannot be carried out, one of each kind, and what the one line on stderr says; see also steps.test.ts. */
const REFUSED: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [
    ['--blockdev', 'driver=file,node-name=x'],
    /Parameter 'filename' is missing, --blockdev driver=file,node-name=x, see/,
  ],
  [['--blockdev', DISK, '--blockdev', 'driver=file,node-name=x,filename=disk.img'], /Image 'disk\.img' is in use/],
  [
    ['--blockdev', DISK, '--nbd-server', SERVER, '--export', 'nbd,id=e,node-name=none'],
    /node-name='none', --export nbd/,
  ],
  [
    ['--nbd-server', SERVER, '--chardev', 'socket,id=c,path=none/qmp.sock,server=on', '--monitor', 'c'],
    /Failed to bind socket to none\/qmp\.sock: No such file or directory/,
  ],
  [['--blockdev', DISK, ...MONITOR, '--nbd-server', SERVER, '--pidfile', 'none/pid'], /Pidfile 'none\/pid' cannot/],
  [['--sighs'], /Unknown option '--sighs', command line, see/],
  [['tape'], /Too many arguments/],
  [['--blockdev'], /argument missing/],
];

describe('colobus storage-daemon', () => {
  for (const [args, says] of REFUSED) {
    it(`refuses ${args.join(' ').slice(0, 120)} with one line and exit code 2, and leaves nothing`, async () => {
      const { exitCode, stdout, stderr } = await run(...args);
      assert.match(stderr, /^colobus: [^\n]+, [^\n]+, [^\n]+\n$/);
      assert.match(stderr, says);
      assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' });
      assert.deepEqual(await readdir(folder.path), ['disk.img']);
    });
  }

  it('lists no trace events for --trace help, and ends', async () => {
    const { exitCode, stdout, stderr } = await run('--blockdev', DISK, '--trace', 'help');
    assert.deepEqual({ exitCode, stdout }, { exitCode: 0, stdout: '' });
    assert.match(stderr, /^colobus: there are no trace events[^\n]*\n$/);
  });

  it('adds the stack at log level debug', async () => {
    const { stderr } = await run('--log-level', 'debug', '--monitor', 'c');
    assert.match(stderr, /^colobus: chardev "c" not found[^\n]*\nCliError: [^\n]+\n +at /);
  });

  it('carries out its options in the order given', async () => {
    const nested = [
      'driver=overlay,node-name=top',
      'backing.driver=raw,backing.size=64K,backing.offset=4K,backing.file=disk',
      'storage=memory',
    ].join(',');
    const json = JSON.stringify({ driver: 'memory', 'node-name': 'ram', size: 65536 });
    await using daemon = await Daemon.start({
      directory: folder.path,
      name: 'd',
      args: [
        ...['--blockdev', DISK.replace('disk.img', folder.file('disk.img'))],
        ...['--blockdev', nested],
        ...['--blockdev', json],
        ...['--nbd-server', `${SERVER.replace('nbd.sock', folder.file('nbd.sock'))},max-connections=4`],
        ...['--export', 'nbd,id=e0,node-name=top,name=a,,b,writable=on'],
        ...['--export', 'type=nbd,id=e1,node-name=ram'],
      ],
    });
    const nodes =
      await daemon.qmp.execute<{ 'node-name': string; image: { 'virtual-size': number } }[]>('query-named-block-nodes');
    const sizes = Object.fromEntries(nodes.map(node => [node['node-name'], node.image['virtual-size']]));
    assert.equal(sizes.disk, 1024 * 1024);
    assert.equal(sizes.top, 65536);
    assert.equal(sizes.ram, 65536);
    const names = (await NbdClient.list(`nbd+unix:///?socket=${folder.file('nbd.sock')}`)).map(({ name }) => name);
    assert.deepEqual(names.sort(), ['a,b', 'ram']);
  });

  it('writes its pidfile when all sockets listen, and removes all of them at its end', async () => {
    await using daemon = await Daemon.start({
      directory: folder.path,
      name: 'd',
      args: ['--nbd-server', `addr.type=unix,addr.path=${folder.file('nbd.sock')}`],
    });
    assert.equal(readFileSync(daemon.pidfilePath, 'utf8'), `${daemon.pid}\n`);
    assert.deepEqual((await readdir(folder.path)).sort(), ['d.pid', 'd.qmp', 'disk.img', 'nbd.sock']);
    await daemon.kill('SIGTERM');
    assert.deepEqual(await daemon.ended(), { exitCode: 0, stdout: '', stderr: '' });
    assert.deepEqual(await readdir(folder.path), ['disk.img']);
  });

  it('refuses a pidfile that a live daemon holds, and replaces that of a killed one', async () => {
    {
      await using daemon = await Daemon.start({ directory: folder.path, name: 'd', args: [] });
      const { exitCode, stderr } = await run('--pidfile', daemon.pidfilePath);
      assert.equal(exitCode, 2);
      assert.match(stderr, /belongs to a process that runs/);
      await daemon.kill('SIGKILL');
      assert.ok(existsSync(daemon.pidfilePath));
      assert.ok(existsSync(daemon.monitorPath));
    }
    await using successor = await Daemon.start({ directory: folder.path, name: 'd', args: [] });
    assert.equal(readFileSync(successor.pidfilePath, 'utf8'), `${successor.pid}\n`);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`says SHUTDOWN and ends with exit code 0 on ${signal}`, async () => {
      await using daemon = await Daemon.start({ directory: folder.path, name: 'd', args: [] });
      const shutdown = daemon.qmp.event('SHUTDOWN');
      await daemon.kill(signal);
      assert.deepEqual((await shutdown).data, { guest: false, reason: 'host-signal' });
      assert.equal((await daemon.ended()).exitCode, 0);
    });
  }

  it('drains a write in flight on the first signal, and ends at once on a second', async () => {
    const slow = JSON.stringify({
      driver: 'blkdebug',
      'node-name': 'slow',
      image: { driver: 'memory', size: 65536 },
      'inject-error': [{ event: 'none', iotype: 'write', errno: 0, 'delay-ms': 4000 }],
    });
    const socket = folder.file('nbd.sock');
    await using daemon = await Daemon.start({
      directory: folder.path,
      name: 'd',
      args: [
        ...['--blockdev', slow, '--nbd-server', `addr.type=unix,addr.path=${socket}`],
        ...['--export', 'nbd,id=e,node-name=slow,writable=on'],
      ],
    });
    await using client = await NbdClient.connect(`nbd+unix:///slow?socket=${socket}`);
    const write = client.write(0, Buffer.alloc(512)).catch(() => {});
    // A read of the same connection comes back behind it: the write has reached the disk.
    await client.read(0, 512);
    const shutdown = daemon.qmp.event('SHUTDOWN');
    const first = daemon.kill('SIGTERM');
    await shutdown;
    const startMs = performance.now();
    await daemon.kill('SIGTERM');
    await first;
    assert.ok(performance.now() - startMs < 2000, 'it did not wait for the write');
    assert.equal((await daemon.ended()).exitCode, 1);
    await write;
  });

  it('with --daemonize returns 0 when all is ready, and the daemon runs on without a terminal', async () => {
    const pidfile = folder.file('daemon.pid');
    const { exitCode, stdout, stderr } = await run('--daemonize', '--pidfile', 'daemon.pid', ...MONITOR);
    assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: '', stderr: '' });
    const pid = Number(readFileSync(pidfile, 'utf8'));
    const [, , parent, , session, terminal] = statFields(pid);
    assert.notEqual(parent, String(process.pid));
    assert.deepEqual([session, terminal], [String(pid), '0']);
    await using qmp = await QmpClient.connect(folder.file('qmp.sock'));
    await qmp.execute('quit');
    await qmp.closed;
  });

  it('with --daemonize passes on the error line and the exit code of a daemon that cannot start', async () => {
    const { exitCode, stdout, stderr } = await run('--daemonize', '--pidfile', 'daemon.pid', '--monitor', 'c');
    assert.deepEqual(
      { exitCode, stdout, stderr },
      {
        exitCode: 2,
        stdout: '',
        stderr: 'colobus: chardev "c" not found, --monitor c, give its --chardev before\n',
      },
    );
    assert.deepEqual(await readdir(folder.path), ['disk.img']);
  });

  it('says which port is in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    try {
      await new Promise(resolve => holder.once('listening', resolve));
      const { port } = holder.address() as { port: number };
      const address = `addr.type=inet,addr.host=127.0.0.1,addr.port=${port}`;
      const chardev = `socket,id=c,host=127.0.0.1,port=${port},server=on,wait=off`;
      for (const args of [
        ['--nbd-server', address],
        ['--chardev', chardev, '--monitor', 'c'],
      ]) {
        const { exitCode, stderr } = await run(...args);
        assert.equal(exitCode, 2);
        assert.match(stderr, /^colobus: [^\n]*127.0.0.1[^\n]*, choose another port[^\n]*\n$/);
      }
    } finally {
      holder.close();
    }
  });
});

/** Fields of /proc/PID/stat behind the program's name: state, parent, group, session, terminal. */
function statFields(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return ['', ...stat.slice(stat.lastIndexOf(')') + 2).split(' ')];
}
