/**
 * LoadedPair: a pair of daemons in a folder of its own, with a guest on every disk that has 32 writes in flight, and
 * what must hold of it after a fault whatever the fault was.
 */

import assert from 'node:assert/strict';
import type { NodeDefinition } from '../../src/block/driver.ts';
import { QmpError } from '../../src/monitor/protocol/qmp-error.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { ColobusPair, type ColobusPairOptions, type ReplicationReport } from './colobus-pair.ts';
import { optionsOf } from './nbd-options.ts';
import { Relay } from './relay.ts';
import { assertHolds, BLOCK_BYTES, differingBytes, stamped } from './stamped-image.ts';
import { type FolderPlace, TemporaryFolder } from './temporary-folder.ts';
import { WriteLoad } from './write-load.ts';

export const DISK_BYTES: number = 16 * 1024 * 1024;
/** What the guests write: the first half of each disk. */
export const LOAD_BLOCKS = 2048;
/** A block beyond, for faults that wait for a write to a certain place. */
export const TRAP_BLOCK = 3000;
export const REQUEST_TIMEOUT_MS = 1000;
/** How long a write may take, well or badly (contracts: Control-plane promptness). */
const WRITE_BOUND_MS: number = REQUEST_TIMEOUT_MS + 500;
/** Writes that each guest has been acknowledged before a test goes on. */
const WARM_UP_WRITES = 200;

/** When a fault began and when this test knew that forwarding had ended; milliseconds of `performance.now()`. */
export type Fault = { readonly strikeMs: number; readonly endedMs: number };

/** `sinceMs` is by the daemon's clock, as milliseconds of `performance.now()`. */
export type Degradation = { readonly reasons: readonly string[]; readonly sinceMs: number };

export type LoadedPairOptions = Omit<ColobusPairOptions, 'directory' | 'sizeBytes'> & {
  readonly place?: FolderPlace;
  /** The link between the daemons leads through a relay that can be cut. */
  readonly relayed?: boolean;
};

export class LoadedPair implements AsyncDisposable {
  readonly pair: ColobusPair;
  /** One for each disk. */
  readonly loads: readonly [WriteLoad, ...WriteLoad[]];
  readonly #relay: Relay | null;
  readonly #folder: TemporaryFolder;

  private constructor(pair: ColobusPair, loads: readonly WriteLoad[], relay: Relay | null, folder: TemporaryFolder) {
    this.pair = pair;
    this.loads = loads as readonly [WriteLoad, ...WriteLoad[]];
    this.#relay = relay;
    this.#folder = folder;
  }

  /** Two disks unless `disks` says otherwise, and a request-timeout of a second. */
  static async start(options: LoadedPairOptions = {}): Promise<LoadedPair> {
    const { place = 'memory', relayed = false, linkOptions: given, ...further } = options;
    const folder = await TemporaryFolder.create(place);
    const directory = folder.path;
    try {
      const relay = relayed ? await Relay.listen(folder.file('relay'), folder.file('secondary.nbd')) : null;
      const server = relayed ? { server: { type: 'unix', path: folder.file('relay') } } : {};
      const linkOptions = { 'request-timeout': REQUEST_TIMEOUT_MS, ...server, ...given };
      const pair = await ColobusPair.start({
        directory,
        sizeBytes: DISK_BYTES,
        disks: 2,
        ...further,
        linkOptions,
      });
      const loads: WriteLoad[] = [];
      for (const [index, { rootUri }] of pair.disks.entries()) {
        loads.push(await WriteLoad.start(rootUri, { blocks: LOAD_BLOCKS, seed: index + 1 }));
      }
      const loaded = new LoadedPair(pair, loads, relay, folder);
      await loaded.acknowledges(WARM_UP_WRITES);
      return loaded;
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Cuts the link in the middle of a write: after `bytes` more of what the primary sends. */
  cutLinkAfter(bytes: number): void {
    assert.ok(this.#relay !== null, 'The link leads through no relay');
    this.#relay.cutAfter(bytes);
  }

  /** Resolves when every guest has been acknowledged `count` more writes. */
  async acknowledges(count: number): Promise<void> {
    await Promise.all(this.loads.map(load => load.acknowledges(count)));
  }

  /** Another write to disk `index`, into the trap; rejects as the guest's would. */
  async springTrap(index: number = 0): Promise<void> {
    const disk = this.pair.disks[index] ?? assert.fail();
    await using client = await NbdClient.connect({ ...optionsOf(disk.rootUri), requestTimeoutMs: 60_000 });
    await client.write(TRAP_BLOCK * BLOCK_BYTES, stamped(TRAP_BLOCK, 1));
  }

  /** Resolves when the primary has told that all its disks are degraded: why, and when the first was. */
  async degraded(): Promise<Degradation> {
    const reasons: string[] = [];
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const root of this.pair.roots) {
      const { data, wallUs } = await this.pair.primary.qmp.event('REPLICATION_STATE_CHANGE', {
        matches: data => {
          const change = data as { 'node-name': string; state: string };
          return change['node-name'] === root && change.state === 'degraded';
        },
      });
      reasons.push((data as { reason: string }).reason);
      sinceMs = Math.min(sinceMs, wallUs / 1000 - performance.timeOrigin);
    }
    return { reasons, sinceMs };
  }

  /** No more writes; all have completed. */
  async stopLoads(): Promise<void> {
    await Promise.all(this.loads.map(load => load.stop()));
  }

  /** Every write has completed once, in time, and with one of `errnos` (0 is success). */
  assertCompleted(errnos: readonly number[] = [0]): void {
    for (const { records } of this.loads) {
      for (const { sequence, submittedMs, completedMs, errno } of records) {
        assert.ok(completedMs !== null, `Write ${sequence} never completed`);
        assert.ok(
          completedMs - submittedMs <= WRITE_BOUND_MS,
          `Write ${sequence} took ${completedMs - submittedMs} ms; the bound is ${WRITE_BOUND_MS} ms`,
        );
        assert.ok(errnos.includes(errno), `Write ${sequence} completed with errno ${errno}`);
      }
    }
  }

  /** Each disk of the primary has all that was acknowledged. */
  async assertPrimaryHoldsAll(): Promise<void> {
    for (const [index, { primaryImage }] of this.pair.disks.entries()) {
      await assertHolds(primaryImage, this.loads[index]?.records ?? assert.fail(), LOAD_BLOCKS);
    }
  }

  /** Each disk of the secondary has all that was acknowledged before the fault and nothing from after it. */
  async assertSecondaryStoppedAt({ strikeMs, endedMs }: Fault): Promise<void> {
    for (const [index, { secondaryImage }] of this.pair.disks.entries()) {
      const expectation = { acknowledgedBy: strikeMs, submittedBy: endedMs };
      await assertHolds(secondaryImage, this.loads[index]?.records ?? assert.fail(), LOAD_BLOCKS, expectation);
    }
  }

  /** The status says of each disk that it is degraded, and counts dirty at least what differs. */
  async assertDegraded(): Promise<readonly ReplicationReport[]> {
    const reports = await this.pair.primaryReports();
    assert.equal(reports.length, this.pair.disks.length);
    for (const [index, report] of reports.entries()) {
      const { primaryImage, secondaryImage } = this.pair.disks[index] ?? assert.fail();
      assert.equal(report['node-name'], `root${index}`);
      assert.equal(report.state, 'degraded');
      assert.equal(report.children[0]?.state, 'ok');
      assert.equal(report.children[1]?.state, 'failed');
      assert.ok((report.children[1]?.error ?? '').length > 0);
      assert.ok(report['dirty-bytes'] > 0);
      const differing = await differingBytes(primaryImage, secondaryImage);
      assert.ok(differing <= report['dirty-bytes'], `${differing} bytes differ, ${report['dirty-bytes']} are dirty`);
    }
    return reports;
  }

  /** A checkpoint is refused, and the refusal names node `name`. */
  async assertRefusesCheckpoint(name: string): Promise<void> {
    await assert.rejects(
      this.pair.primary.qmp.execute('replication-checkpoint-prepare', { nodes: this.pair.roots, checkpoint: 100 }),
      (error: unknown) => error instanceof QmpError && error.message.includes(`'${name}'`),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The daemons first: nothing that hangs in them may keep the guests from leaving.
    await this.pair[Symbol.asyncDispose]();
    await Promise.all(this.loads.map(load => load[Symbol.asyncDispose]()));
    await this.#relay?.[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** A disk that fails what `rules` say (docs of the blkdebug driver). */
export function faultyDisk(file: NodeDefinition, rules: readonly object[]): NodeDefinition {
  return { driver: 'blkdebug', image: file, 'inject-error': rules };
}

/** The rule for a write into the trap. */
export function trapRule(further: object = {}): object {
  return { event: 'write_aio', sector: (TRAP_BLOCK * BLOCK_BYTES) / 512, ...further };
}
