import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ColobusPair } from '../support/colobus-pair.ts';
import { Daemon } from '../support/daemon.ts';
import { fetchProcessStats } from '../support/process-stats.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
/** What docs/performance.md promises. */
const MAX_IDLE_MIB = 80;

describe('query-process-stats', () => {
  let folder: TemporaryFolder;
  let daemon: Daemon;

  before(async () => {
    folder = await TemporaryFolder.create('memory');
    daemon = await Daemon.start({ directory: folder.path, name: 'daemon', args: [] });
  });

  after(async () => {
    await daemon?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  it('says zeroes at first, then how long the process stood still, until that is reset', async () => {
    const first = await fetchProcessStats(daemon.qmp);
    assert.deepEqual(first.eventLoopDelayUs, { p50: 0, p99: 0, p999: 0, max: 0 });
    let longestUs = 0;
    while (longestUs === 0) {
      await daemon.kill('SIGSTOP');
      await daemon.kill('SIGCONT');
      longestUs = (await fetchProcessStats(daemon.qmp)).eventLoopDelayUs.max;
    }
    assert.ok((await fetchProcessStats(daemon.qmp, { reset: true })).eventLoopDelayUs.max >= longestUs);
  });

  it('tells memory, processor time and age of the daemon, not of whoever asks', async () => {
    const one = await fetchProcessStats(daemon.qmp);
    const other = await fetchProcessStats(daemon.qmp);
    assert.ok(one.rssBytes > one.heapBytes && one.heapBytes > MIB && one.externalBytes > 0, JSON.stringify(one));
    assert.ok(one.uptimeMs > 0 && other.uptimeMs >= one.uptimeMs);
    assert.ok(one.cpuUs.user > 0 && other.cpuUs.user + other.cpuUs.system >= one.cpuUs.user + one.cpuUs.system);
  });

  it('tells little memory of a pair that has nothing to do', async () => {
    await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: 1024 * MIB });
    for (const { qmp } of [pair.primary, pair.secondary]) {
      const { rssBytes } = await fetchProcessStats(qmp);
      assert.ok(rssBytes <= MAX_IDLE_MIB * MIB, `${Math.round(rssBytes / MIB)} MiB are resident`);
    }
  });

  it('refuses what it does not know', async () => {
    await assert.rejects(daemon.qmp.execute('query-process-stats', { reset: 1 }), /reset/);
    await assert.rejects(daemon.qmp.execute('query-process-stats', { again: true }), /again/);
  });
});
