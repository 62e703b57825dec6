import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ColobusDaemon } from '../../daemon/colobus-daemon.ts';
import { drivers } from '../../drivers/index.ts';
import { StepRunner } from './steps.ts';

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'colobus-steps-'));
  writeFileSync(join(directory, 'disk.img'), '');
  truncateSync(join(directory, 'disk.img'), 65536);
  writeFileSync(join(directory, 'empty.img'), '');
});
after(() => rmSync(directory, { recursive: true }));

/** Carries out options, `--` left out and DIR put in, in a daemon of their own. */
async function carryOut(...options: readonly string[]): Promise<void> {
  await using daemon = new ColobusDaemon({ drivers });
  const runner = new StepRunner(daemon, drivers);
  for (const option of options) {
    const [name, text] = option.replaceAll('DIR', directory).split(/ (.*)/s) as ['blockdev', string];
    await runner.run({ name, text });
  }
}

const DISK = 'blockdev driver=file,node-name=disk,filename=DIR/disk.img';
const SERVER = 'nbd-server addr.type=unix,addr.path=DIR/nbd';
const CHARDEV = 'chardev socket,id=c,path=DIR/qmp,server=on,wait=off';

const TAKEN: readonly (readonly string[])[] = [
  [DISK, SERVER, 'export nbd,id=e,node-name=disk,name=x,description=y,writable=on'],
  [DISK, SERVER, 'export {"type":"nbd","id":"e","node-name":"disk","writable":true}'],
  ['blockdev {"driver":"null","node-name":"n","size":4096,"read-only":true}'],
  ['blockdev null-co,node-name=n,size=1M,read-only=on,cache.direct=off,discard=unmap'],
  ['nbd-server addr.type=inet,addr.host=127.0.0.1,addr.port=0,max-connections=10'],
  [CHARDEV, 'monitor chardev=c,mode=control,pretty=off'],
  [CHARDEV, 'monitor c'],
  [CHARDEV, 'monitor {"chardev":"c","pretty":true}'],
  [CHARDEV, 'monitor c,pretty=on,id=mine'],
  [CHARDEV],
  ['chardev socket,id=c,path=DIR/a,,b,server,nowait', 'monitor c'],
  ['chardev backend=socket,id=c,path=DIR/qmp,server=on'],
  ['chardev socket,id=c,host=127.0.0.1,port=0,server=on,wait=off,ipv4=on,nodelay=on,mux=off', 'monitor c'],
  ['chardev socket,id=c,path=colobus-steps,abstract=on,server=on', 'monitor c'],
  ['chardev null,id=c', 'monitor c'],
  ['object iothread,id=t,poll-max-ns=0', DISK, SERVER, 'export nbd,id=e,node-name=disk,iothread=t,writethrough=on'],
  [
    'blockdev host_device,node-name=disk,filename=DIR/disk.img,aio=native,cache.direct=on,cache.no-flush=off,' +
      'locking=off,aio-max-batch=4,drop-cache=off,auto-read-only=on,discard=unmap,detect-zeroes=unmap',
  ],
  ['blockdev raw,node-name=r,file.driver=file,file.filename=DIR/disk.img,force-share=on,read-only=on'],
  ['blockdev null-co,node-name=n,size=1048576,latency-ns=0,read-zeroes=on'],
];

const REFUSED: readonly (readonly [options: readonly string[], says: RegExp])[] = [
  [
    ['blockdev driver=file,node-name=x,filename=DIR/none.img'],
    /Could not open '.*none\.img': No such file or directory; check/,
  ],
  [['blockdev driver=file,node-name=x,filename=DIR'], /is a directory/],
  [['blockdev driver=file,node-name=x,filename=DIR/empty.img'], /has length 0/],
  [[`${DISK},sighs=1`], /Parameter 'sighs' is unexpected/],
  [[`${DISK},read-only=maybe`], /^Parameter 'read-only' expects 'on' or 'off'/],
  [['blockdev driver=tape,node-name=x'], /'driver' does not accept value 'tape'/],
  [['blockdev driver=null,node-name=x,size=many'], /size/],
  [['blockdev null,foo'], /Expected '=' after parameter 'foo'/],
  [['blockdev {"driver":"null"'], /^JSON parse error, premature EOI/],
  [['blockdev {"driver":"null","node-name":"n","size":1e6}'], /^Invalid parameter type for 'size', expected: integer/],
  [
    ['blockdev {"driver":"null","node-name":"n","size":-5}'],
    /^Parameter 'size' expects a non-negative number below 2\^64/,
  ],
  [
    ['blockdev {"driver":"null","node-name":"n","size":512,"latency-ns":-5}'],
    /^Parameter 'latency-ns' expects a non-n/,
  ],
  [['blockdev {"driver":"null","node-name":"n","size":512,"__proto__":{}}'], /^Parameter '__proto__' is unexpected/],
  [[CHARDEV, 'monitor {"chardev":"c","__proto__":{}}'], /^Parameter '__proto__' is unexpected/],
  [['blockdev {"driver":"null","node-name":"n","read-only":"on"}'], /Invalid parameter type for 'read-only'/],
  [[DISK, DISK], /Duplicate nodes with node-name='disk'/],
  [['export nbd,id=e,node-name=disk'], /Cannot find device='' nor node-name='disk'/],
  [[DISK, 'export nbd,id=e,node-name=disk'], /NBD server not running/],
  [[DISK, SERVER, 'export fuse,id=e,node-name=disk'], /Parameter 'type' does not accept value 'fuse'; it takes nbd/],
  [[DISK, SERVER, 'export nbd,id=e,node-name=disk,writable=maybe'], /^Parameter 'writable' expects 'on' or 'off'/],
  [[`${SERVER},max-connections=many`], /^Parameter 'max-connections' expects integer/],
  [[SERVER, SERVER], /NBD server already running/],
  [[`${SERVER},sighs=1`], /Parameter 'sighs' is unexpected/],
  [['nbd-server addr.type=inet,addr.host=127.0.0.1'], /Parameter 'addr.port' is missing/],
  [[`nbd-server addr.type=unix,addr.path=${'x'.repeat(108)}`], /has 108 bytes, more than the 107/],
  [['nbd-server addr.type=unix,addr.path=DIR/disk.img'], /exists and is not a socket/],
  [
    ['nbd-server addr.type=unix,addr.path=DIR/none/nbd'],
    /^Failed to bind socket to .*none.nbd: No such file or directory/,
  ],
  [['chardev socket,path=DIR/qmp,server=on'], /^chardev: no id specified/],
  [['chardev socket,id=1c,path=DIR/qmp,server=on'], /^Parameter 'id' expects an identifier/],
  [['chardev socket,id=c,path=DIR/qmp,wait=off'], /^'wait' option is incompatible with socket in client connect mode/],
  [['chardev socket,id=c,path=DIR/qmp'], /^Failed to connect to '.*qmp': No such file or directory/],
  [['chardev socket,id=c,path=DIR/qmp,server=on,reconnect=1'], /^'reconnect' option is incompatible with socket in/],
  [['chardev socket,id=c,path=DIR/qmp,server=on,host=h,port=1'], /^None or one of 'path', 'fd' or 'host' option/],
  [['chardev socket,id=c,server=on'], /has no address/],
  [['chardev socket,id=c,server=on,host=h'], /^chardev: socket: no port given/],
  [['chardev socket,id=c,server=on,host=h,port=http'], /Port 'http' of chardev 'c' is not a number/],
  [['chardev socket,id=c,server=on,fd=x'], /^Unable to parse FD number x/],
  [['chardev socket,id=c,server=on,fd=999'], /^Descriptor 999 is not a listening socket/],
  [['chardev socket,id=c,path=DIR/none/qmp,server=on'], /none/],
  [['chardev socket,id=c,path=DIR/qmp,server=on,wait=maybe'], /^Parameter 'wait' expects 'on' or 'off'/],
  [['chardev socket,id=c,path=DIR/qmp,server=on,sighs=1'], /^Invalid parameter 'sighs'/],
  [['chardev socket,id=c,path=DIR/qmp,server=on,tls-creds=t'], /^Parameter 'tls-creds' is not supported/],
  [['chardev pty,id=c'], /^Chardev backend 'pty' is not supported/],
  [['chardev tape,id=c'], /^'tape' is not a valid char driver name/],
  [[CHARDEV, CHARDEV], /^Chardev with id 'c' already exists/],
  [['monitor c'], /^chardev "c" not found/],
  [[CHARDEV, 'monitor c', 'monitor c'], /^Device 'c' is in use/],
  [[CHARDEV, 'monitor c,mode=readline'], /^Only QMP is supported/],
  [[CHARDEV, 'monitor c,mode=other'], /^Parameter 'mode' does not accept value 'other'/],
  [[CHARDEV, 'monitor c,pretty=maybe'], /^Parameter 'pretty' expects 'on' or 'off'/],
  [[CHARDEV, 'monitor c,sighs=1'], /^Parameter 'sighs' is unexpected/],
  [['nbd-server addr.type=fd,addr.str=x'], /^Parameter 'addr.str': is not the number of a file descriptor/],
  [['nbd-server addr.type=fd,addr.str=999'], /^Descriptor 999 is not a listening socket/],
  [[`${SERVER},tls-authz=a`], /^Parameter 'tls-authz' is not supported/],
  [[`${DISK},aio=native`], /aio=native was specified, but it requires cache.direct=on/],
  [[`${DISK},cache.sighs=on`], /^Parameter 'cache.sighs' is unexpected/],
  [[`${DISK},force-share=on`], /^force-share=on can only be used with read-only images/],
  [[`${DISK},detect-zeroes=unmap`], /^setting detect-zeroes to unmap is not allowed without setting discard/],
  [[`${DISK},pr-manager=p`], /No persistent reservation manager with id 'p'/],
];

describe('the options of storage-daemon', () => {
  for (const options of TAKEN) {
    it(`take ${options.at(-1)} and leave nothing behind in the end`, async () => {
      await carryOut(...options);
      assert.deepEqual(readdirSync(directory).sort(), ['disk.img', 'empty.img']);
    });
  }

  for (const [options, says] of REFUSED) {
    it(`refuse ${(options.at(-1) ?? '').slice(0, 100)} and leave nothing behind`, async () => {
      await assert.rejects(carryOut(...options), { message: says });
      assert.deepEqual(readdirSync(directory).sort(), ['disk.img', 'empty.img']);
    });
  }
});
