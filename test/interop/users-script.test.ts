/** A script of qemu-storage-daemon's users runs unchanged: only the name of the program differs. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Program, type ProgramEnd } from '../support/program.ts';
import { buildRoot, projectRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const SCRIPT = join(projectRoot, 'test/interop/users-script.sh');
const SAY = `/usr/bin/python3 ${join(projectRoot, 'test/interop/qmp-say.py')}`;
const COLOBUS = `${process.execPath} ${join(buildRoot, 'test/support/colobus-entry.js')} storage-daemon`;

/** Some twenty programs are started one after another. */
const SCRIPT_MS = 60_000;

async function runScript(daemon: string): Promise<ProgramEnd> {
  await using folder = await TemporaryFolder.create('memory');
  const env = { ...process.env, DAEMON: daemon, QMP: SAY, UV_THREADPOOL_SIZE: '4', LC_ALL: 'C' };
  await using script = Program.start('/bin/sh', [SCRIPT], { cwd: folder.path, env });
  try {
    return await script.ended(SCRIPT_MS);
  } finally {
    await endLeftDaemon(folder.file('daemon.pid'));
  }
}

/** Where the script failed midway its daemon runs on. */
async function endLeftDaemon(pidfile: string): Promise<void> {
  await using cleaner = Program.start('/bin/sh', ['-c', 'test ! -e "$0" || kill -KILL $(cat "$0")', pidfile]);
  await cleaner.ended();
}

test('a script for qemu-storage-daemon shows its user the same with Colobus', async () => {
  const [own, qemu] = await Promise.all([runScript(COLOBUS), runScript('qemu-storage-daemon')]);
  assert.deepEqual(own.stdout.split('\n'), qemu.stdout.split('\n'));
  assert.deepEqual([own.exitCode, qemu.exitCode], [0, 0], `${own.stderr}\n${qemu.stderr}`);
  assert.deepEqual([own.stderr, qemu.stderr], ['', '']);
  assert.match(own.stdout, /ended in order\n$/);
});
