import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { documentedCommands } from '../../src/monitor/commands/index.ts';
import { events } from '../../src/monitor/events/index.ts';
import { makeQmpSchema, type SchemaInfo } from '../../src/monitor/schema/qmp-schema.ts';
import { compareSchemas } from '../support/compare-schemas.ts';
import { MonitorSubject } from '../support/monitor-subject.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { parseTranscript } from '../support/transcript.ts';

/** Where the two differ, and why. A rule that meets nothing is out of date. */
const DIFFERENCES: readonly (readonly [differences: RegExp, reason: string])[] = [
  [/^blockdev-\S+\.driver: (takes|does not take)/, 'the drivers are others'],
  [/^blockdev-\S+\.\S+: is not there in QEMU$/, 'options of our own'],
  [/^blockdev-\S+(offset|size|port): is alternate and not (int|string)$/, 'sizes and ports may be text or numbers'],
  [/^blockdev-\S+\((file|host_device)\)\.aio: /, 'how files are read and written is our own'],
  [/^blockdev-\S+\(blkdebug\)\S*event: does not take/, 'events of image formats that are not there'],
  [/^blockdev-\S+server\.type: does not take (vsock|fd)$/, 'servers are reached by TCP and unix sockets'],
  [/^blockdev-\S+\(\S+: is missing$/, 'an option of a driver that is not supported is refused by name'],
  [/^blockdev-\S+\(replication\)\.(mode|file): may be left out$/, 'the form with children has neither'],
  [
    /^blockdev-backup\.(bitmap|bitmap-mode|x-perf): is missing$/,
    'a backup copies what is there, not what a bitmap says',
  ],
  [/^query-blockstats returns\S+timed_stats\[\]\S+: is missing$/, 'there are no statistics of intervals'],
  [/^nbd-server-start\.addr\S*: (is missing|does not take)/, 'it listens on TCP and unix sockets'],
  [/^block-export-add\.type: does not take/, 'exports are NBD exports'],
  [/^query-block-exports returns\[\]\.type: does not take/, 'exports are NBD exports'],
  [/^object-add\.qom-type: does not take/, 'objects for what is not there'],
  [/^object-add\(main-loop\).*is not there in QEMU$/, "options of iothread, which QEMU's main loop shares with it"],
  [/^object-add\(\S+\.dir: may not be left out$/, 'there is no folder to fall back on'],
  [/^object-add\(\S+: is missing$/, 'an option that is not supported is refused by name'],
  [/^BLOCK_JOB_\w+\.type: does not take/, 'jobs for what is not there'],
  [/^query-(block-)?jobs returns\[\]\.type: does not take/, 'jobs for what is not there'],
  [/ ?status: does not take undefined$/, 'no job has this status'],
];

describe('query-qmp-schema', () => {
  const own = makeQmpSchema(documentedCommands, events);

  it('describes what commands and events both programs know as qemu-storage-daemon does, but for what is listed', async () => {
    const differences = compareSchemas(own, await schemaOfQemu());
    const unexpected = differences.filter(line => !DIFFERENCES.some(([rule]) => rule.test(line)));
    assert.deepEqual(unexpected, []);
    const unused = DIFFERENCES.filter(([rule]) => !differences.some(line => rule.test(line)));
    assert.deepEqual(
      unused.map(([rule]) => rule.source),
      [],
    );
  });

  it('names every type it refers to, once', () => {
    const names = own.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const info of own) {
      for (const name of referredBy(info)) assert.ok(names.includes(name), `${info.name} refers to ${name}`);
    }
  });

  it('has a command for each that query-commands lists', () => {
    const described = own.filter(info => info['meta-type'] === 'command').map(({ name }) => name);
    assert.deepEqual(new Set(described), new Set(documentedCommands.map(({ name }) => name)));
  });
});

async function schemaOfQemu(): Promise<readonly SchemaInfo[]> {
  await using folder = await TemporaryFolder.create('memory');
  await using qemu = await MonitorSubject.start(
    'qemu-storage-daemon',
    [parseTranscript('none.qmp', '')],
    folder.file('q'),
  );
  await using monitor = await qemu.connect('a');
  await monitor.answers('{"execute":"qmp_capabilities"}');
  const [answer] = await monitor.answers('{"execute":"query-qmp-schema"}');
  return answer?.return as readonly SchemaInfo[];
}

function referredBy(info: SchemaInfo): readonly string[] {
  switch (info['meta-type']) {
    case 'array':
      return [info['element-type']];
    case 'object':
      return [...info.members.map(({ type }) => type), ...(info.variants ?? []).map(({ type }) => type)];
    case 'alternate':
      return info.members.map(({ type }) => type);
    case 'command':
      return [info['arg-type'], info['ret-type']];
    case 'event':
      return [info['arg-type']];
    default:
      return [];
  }
}
