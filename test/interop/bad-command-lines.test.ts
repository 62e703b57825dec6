/** Command lines that qemu-storage-daemon refuses: Colobus does too, and what it says begins with QEMU's words or names the same. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { type StepName, StepRunner } from '../../src/cli/storage-daemon/steps.ts';
import { ColobusDaemon } from '../../src/daemon/colobus-daemon.ts';
import { drivers } from '../../src/drivers/index.ts';
import { Program } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const QEMU_MS = 10_000;

const DISK = '--blockdev file,node-name=d,filename=disk.img';
const SERVER = '--nbd-server addr.type=unix,addr.path=nbd.sock';
const CHARDEV = '--chardev socket,id=c,path=qmp.sock,server=on,wait=off';

/** Options with their values; where Colobus has words of its own, what they are. */
const REFUSED: readonly (readonly [options: readonly string[], own?: RegExp])[] = [
  [['--blockdev x,node-name=n']],
  [['--blockdev driver=tape,node-name=n']],
  [['--blockdev file,node-name=n']],
  [['--blockdev file,filename=disk.img']],
  [['--blockdev file,node-name=n,filename=none.img'], /'none\.img'/],
  [[`${DISK},size=4`]],
  [[`${DISK},read-only=maybe`]],
  [[`${DISK},read-only`]],
  [[`${DISK},noread-only`]],
  [[`${DISK},cache.direct=on,cache=none`]],
  [[`${DISK},cache.sighs=on`]],
  [[`${DISK},cache.direct=maybe`]],
  [[`${DISK},detect-zeroes=x`]],
  [[`${DISK},detect-zeroes=unmap`]],
  [[`${DISK},discard=x`]],
  [[`${DISK},force-share=on`]],
  [[`${DISK},aio=native`], /^Parameter 'aio': aio=native was specified, but it requires cache\.direct=on/],
  [[`${DISK},aio=x`]],
  [[`${DISK},pr-manager=p`], /No persistent reservation manager with id 'p'/],
  [['--blockdev {"driver":"file"'], /JSON/],
  [['--blockdev {"driver":"null-co","node-name":"n","read-only":"on"}']],
  [['--blockdev null-co,node-name=n,size=x'], /size/],
  [['--blockdev null-co,node-name=n,latency-ns=x']],
  [['--blockdev nbd,node-name=n'], /server/],
  [['--blockdev nbd,node-name=n,server.type=unix,server.path=none'], /none/],
  [['--blockdev raw,node-name=r,file=none'], /node-name='none'/],
  [[DISK, DISK]],
  [[DISK, '--export nbd,id=e,node-name=d']],
  [[SERVER, '--export nbd,id=e']],
  [[DISK, SERVER, '--export nbd,node-name=d']],
  [[DISK, SERVER, '--export tape,id=e,node-name=d']],
  [[DISK, SERVER, '--export nbd,id=e,node-name=zz']],
  [[DISK, SERVER, '--export nbd,id=e,node-name=d,writable=x']],
  [[DISK, SERVER, '--export nbd,id=e,node-name=d,sighs=x']],
  [[DISK, SERVER, '--export nbd,id=e,node-name=d,bitmap=b']],
  [[DISK, SERVER, '--export nbd,id=e,node-name=d,bitmaps.0=b']],
  [[DISK, SERVER, '--export nbd,id=e,node-name=d,iothread=none']],
  [[DISK, SERVER, '--export fuse,id=e,node-name=d'], /'fuse'/],
  [[`${DISK},read-only=on`, SERVER, '--export nbd,id=e,node-name=d,writable=on'], /read-only/],
  [[SERVER, SERVER]],
  [['--nbd-server addr.type=unix']],
  [['--nbd-server addr.type=inet,addr.host=127.0.0.1']],
  [['--nbd-server addr.type=tape']],
  [['--nbd-server foo']],
  [['--nbd-server addr.type=fd,addr.str=777'], /777/],
  [['--nbd-server addr.type=fd,addr.str=x'], /addr\.str/],
  [[`${SERVER},max-connections=x`]],
  [[`${SERVER},tls-creds=none`]],
  [['--object nope']],
  [['--object secret']],
  [['--object secret,id=s'], /'file' or 'data'/],
  [['--object secret,id=s,data=x,sighs=y']],
  [['--object secret,id=s,data=x', '--object secret,id=s,data=x']],
  [['--object tls-creds-x509,id=t,dir=none,endpoint=server'], /none/],
  [['--chardev socket,path=qmp.sock']],
  [['--chardev tape,id=c']],
  [['--chardev socket,id=c,server=on,wait=off,host=127.0.0.1']],
  [['--chardev socket,id=c,server=on,wait=off,host=127.0.0.1,port=0,path=qmp.sock']],
  [['--chardev socket,id=c,path=nothere']],
  [['--chardev socket,id=c,path=none/qmp.sock,server=on,wait=off'], /none/],
  [['--chardev socket,id=c,path=qmp.sock,server=on,wait=maybe']],
  [['--chardev socket,id=c,path=qmp.sock,server=on,wait=off,reconnect=3']],
  [['--chardev socket,id=c,path=qmp.sock,wait=off']],
  [['--chardev socket,id=c,fd=x,server=on,wait=off']],
  [['--chardev socket,id=c,fd=777,server=on,wait=off'], /777/],
  [['--chardev socket,id=1c,path=qmp.sock,server=on,wait=off']],
  [[`${CHARDEV},sighs=1`]],
  [[CHARDEV, CHARDEV], /'c'/],
  [['--monitor x']],
  [['--monitor {}']],
  [[CHARDEV, '--monitor c,mode=readline']],
  [[CHARDEV, '--monitor c,mode=x']],
  [[CHARDEV, '--monitor c,sighs=1']],
  [[CHARDEV, '--monitor c,pretty=x']],
  [[CHARDEV, '--monitor c,pretty']],
  [[CHARDEV, '--monitor c', '--monitor c']],
];

/** What the parser itself refuses; the whole program is started for these. */
const UNPARSED: readonly (readonly [args: readonly string[], own: RegExp])[] = [
  [['--sighs'], /'--sighs'/],
  [['tape'], /arguments/],
  [['-sighs'], /'-s/],
  [['--blockdev'], /--blockdev/],
  [['--daemonize=1'], /--daemonize/],
];

describe('a command line that qemu-storage-daemon refuses', () => {
  let folder: TemporaryFolder;
  before(async () => {
    folder = await TemporaryFolder.create('memory');
    writeFileSync(folder.file('disk.img'), '');
    truncateSync(folder.file('disk.img'), 65536);
  });
  after(() => folder[Symbol.asyncDispose]());

  /** The message of qemu-storage-daemon, without its own name and the option's text; throws where it refuses nothing. */
  function qemuMessage(args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile('qemu-storage-daemon', args, { cwd: folder.path, timeout: QEMU_MS }, (error, _stdout, stderr) => {
        if (error?.code !== 1) reject(new Error(`qemu-storage-daemon ended with ${error?.code ?? 0}: ${stderr}`));
        else resolve(stderr.replace('qemu-storage-daemon: ', '').replace(`${args.slice(-2).join(' ')}: `, ''));
      });
    });
  }

  async function ownMessage(options: readonly (readonly [StepName, string])[]): Promise<string> {
    await using daemon = new ColobusDaemon({ drivers });
    const runner = new StepRunner(daemon, drivers);
    const cwd = process.cwd();
    process.chdir(folder.path);
    try {
      for (const [name, text] of options) await runner.run({ name, text });
    } catch (error) {
      return error instanceof Error ? error.message : '';
    } finally {
      process.chdir(cwd);
    }
    throw new Error('Colobus refuses nothing');
  }

  for (const [options, own] of REFUSED) {
    it(`is refused by Colobus: ${options.join(' ')}`, async () => {
      const split = options.map(option => option.split(/ (.*)/s).slice(0, 2) as [string, string]);
      const qemu = await qemuMessage(split.flat());
      const message = await ownMessage(split.map(([name, text]) => [name.slice(2) as StepName, text]));
      const [words = ''] = qemu.split('\n');
      if (own === undefined) assert.equal(message.slice(0, words.length), words);
      else assert.match(message, own);
    });
  }

  for (const [args, own] of UNPARSED) {
    it(`is refused by Colobus: ${args.join(' ')}`, async () => {
      await qemuMessage(args);
      await using program = Program.colobus(['storage-daemon', ...args], { cwd: folder.path });
      const { exitCode, stderr } = await program.ended();
      assert.equal(exitCode, 2);
      assert.match(stderr, own);
    });
  }

  it('leaves nothing behind', async () => {
    assert.deepEqual(
      (await readdir(folder.path)).filter(name => !name.endsWith('.sock')),
      ['disk.img'],
    );
  });
});
