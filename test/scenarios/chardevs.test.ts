import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { QmpClient } from '../../src/monitor/index.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Program } from '../support/program.ts';
import { buildRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const COLOBUS = [process.execPath, join(buildRoot, 'test/support/colobus-entry.js'), 'storage-daemon'];

/** Runs the program in its arguments with unix sockets that listen: QMPFD and NBDFD in these are their numbers. */
const HAND_OVER = `
import os, socket, sys
arguments = sys.argv[1:]
for name in ['QMP', 'NBD']:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(name.lower() + '.sock')
    listening.listen()
    os.set_inheritable(listening.fileno(), True)
    arguments = [argument.replace(name + 'FD', str(listening.fileno())) for argument in arguments]
    listening.detach()
os.execv(arguments[0], arguments)
`;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await TemporaryFolder.create('memory');
});
afterEach(() => folder[Symbol.asyncDispose]());

describe('a monitor', () => {
  it('speaks on standard input and output', async () => {
    const commands = '{"execute":"qmp_capabilities"}{"execute":"query-chardev"}{"execute":"quit"}';
    const [node = '', ...args] = COLOBUS;
    const script = 'printf %s "$0" | "$@"';
    const options = ['--chardev', 'stdio,id=s', '--chardev', 'null,id=none', '--monitor', 's', '--monitor', 'none'];
    await using program = Program.start('/bin/sh', ['-c', script, commands, node, ...args, ...options]);
    const { exitCode, stdout, stderr } = await program.ended();
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
    const [greeting, ...answers] = stdout
      .trimEnd()
      .split('\r\n')
      .map(line => JSON.parse(line) as object);
    assert.ok(greeting !== undefined && 'QMP' in greeting);
    const chardevs = [
      { label: 's', filename: 'stdio', 'frontend-open': true },
      { label: 'none', filename: 'null', 'frontend-open': true },
    ];
    // SHUTDOWN may follow, where the end of the input has not been seen before.
    assert.deepEqual(answers.slice(0, 3), [{ return: {} }, { return: chardevs }, { return: {} }]);
  });

  it('greets who listens where it connects to, and serves no other', async () => {
    const path = folder.file('manager.sock');
    const clients: Socket[] = [];
    const manager = createServer(socket => clients.push(socket)).listen(path);
    try {
      await using program = Program.colobus([
        'storage-daemon',
        '--chardev',
        `socket,id=c,path=${path}`,
        '--monitor',
        'c',
      ]);
      await new Promise(resolve => manager.once('connection', resolve));
      const [client] = clients;
      const received = new Promise(resolve => client?.setEncoding('utf8').once('data', resolve));
      assert.match(String(await received), /^\{"QMP":/);
      client?.write('{"execute":"qmp_capabilities"}{"execute":"quit"}');
      assert.equal((await program.ended()).exitCode, 0);
      assert.equal(clients.length, 1);
    } finally {
      manager.close();
    }
  });
});

describe('sockets that the daemon was started with', () => {
  for (const daemonize of [[], ['--daemonize']]) {
    it(`carry the monitor and NBD${daemonize.map(option => `, with ${option}`)}`, async () => {
      const options = [
        ...['--blockdev', 'null-co,node-name=n,size=65536', '--nbd-server', 'addr.type=fd,addr.str=NBDFD'],
        ...['--export', 'nbd,id=e,node-name=n', '--chardev', 'socket,id=c,fd=QMPFD,server=on,wait=off'],
        ...['--monitor', 'c', '--pidfile', 'pid', ...daemonize],
      ];
      await using program = Program.start('/usr/bin/python3', ['-c', HAND_OVER, ...COLOBUS, ...options], {
        cwd: folder.path,
      });
      if (daemonize.length > 0) assert.deepEqual(await program.ended(), { exitCode: 0, stdout: '', stderr: '' });
      else await program.created(folder.file('pid'), `${program.pid}\n`);
      await using qmp = await QmpClient.connect(folder.file('qmp.sock'));
      await using nbd = await NbdClient.connect(`nbd+unix:///n?socket=${folder.file('nbd.sock')}`);
      assert.equal(nbd.sizeBytes, 65536);
      assert.ok(Number(readFileSync(folder.file('pid'), 'utf8')) > 0);
      await qmp.execute('quit');
      await qmp.closed;
    });
  }
});
