/** Every driver in every mode that has its own code path. A new driver gets its line here. */

import { truncate, writeFile } from 'node:fs/promises';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { BlockGraph } from '../../src/block/block-graph.ts';
import { ConsistencyGroup } from '../../src/block/consistency-group.ts';
import type { NodeDefinition } from '../../src/block/driver.ts';
import { drivers } from '../../src/drivers/index.ts';
import { ThrottleGroup } from '../../src/drivers/throttle/throttle-group.ts';
import { type FolderPlace, TemporaryFolder } from '../support/temporary-folder.ts';
import { nbdSubject } from './nbd-subject.ts';
import type { Subject } from './subject.ts';

/** Describes a node of `lengthBytes`; `path` makes the path of a sparse file of some length. */
type Describe = (
  lengthBytes: number,
  path: (name: string, bytes: number) => Promise<string>,
) => Promise<NodeDefinition>;

/** The system's time with timers that keep the process alive: here nothing else does while a delayed request waits. */
const clock: Clock = {
  ...systemClock,
  after(delayMs, callback) {
    const timeout = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
};

/** A subject that is a graph of its own, given by the definition of its topmost node. */
function graphSubject(
  name: string,
  describe: Describe,
  traits: { place?: FolderPlace; keepsData?: boolean; replicates?: boolean } = {},
): Subject {
  return {
    name,
    keepsData: traits.keepsData ?? true,
    async open(lengthBytes, readOnly) {
      const folder = await TemporaryFolder.create(traits.place ?? 'memory');
      const definition = await describe(lengthBytes, async (file, bytes) => {
        await writeFile(folder.file(file), '');
        await truncate(folder.file(file), bytes);
        return folder.file(file);
      });
      const throttle = new ThrottleGroup('limits', { 'iops-total': 2000, 'iops-size': 65_536 }, clock);
      const graph = new BlockGraph({ drivers, clock, findObject: id => (id === throttle.id ? throttle : undefined) });
      const node = await graph.add({ ...definition, 'node-name': 'disk', 'read-only': readOnly });
      const replicates = (traits.replicates ?? false) && !readOnly;
      const replication = replicates ? ConsistencyGroup.start([node], clock, () => {}) : null;
      return {
        node,
        async [Symbol.asyncDispose]() {
          replication?.stop(null);
          await graph[Symbol.asyncDispose]();
          await folder[Symbol.asyncDispose]();
        },
      };
    },
  };
}

function fileSubject(name: string, aio: string, place: FolderPlace): Subject {
  return graphSubject(
    name,
    async (lengthBytes, path) => ({ driver: 'file', aio, filename: await path('image', lengthBytes) }),
    { place },
  );
}

function quorumOf(count: number, size: number, options: object): NodeDefinition {
  return { driver: 'quorum', children: Array.from({ length: count }, () => ({ driver: 'memory', size })), ...options };
}

export const subjects: readonly Subject[] = [
  graphSubject('null', async size => ({ driver: 'null', size }), { keepsData: false }),
  graphSubject('memory', async size => ({ driver: 'memory', size })),
  fileSubject('file in threads, on disk', 'threads', 'disk'),
  fileSubject('file in threads, in memory', 'threads', 'memory'),
  fileSubject('file synchronous, on disk', 'sync', 'disk'),
  fileSubject('file automatic, in memory', 'auto', 'memory'),
  graphSubject('raw, a window of memory', async size => ({
    driver: 'raw',
    offset: 1000,
    size,
    file: { driver: 'memory', size: size + 3000 },
  })),
  graphSubject('raw, a whole file', async (size, path) => ({
    driver: 'raw',
    file: { driver: 'file', filename: await path('image', size) },
  })),
  graphSubject('blkdebug without rules', async size => ({ driver: 'blkdebug', image: { driver: 'memory', size } })),
  graphSubject('blkdebug with a delay', async size => ({
    driver: 'blkdebug',
    'delay-ms': 1,
    image: { driver: 'memory', size },
  })),
  graphSubject('overlay in memory', async size => ({
    driver: 'overlay',
    storage: 'memory',
    backing: { driver: 'memory', size },
  })),
  graphSubject(
    'overlay in a file over a file',
    async (size, path) => {
      const image = await path('backing', size);
      return { driver: 'overlay', storage: `${image}.overlay`, backing: { driver: 'file', filename: image } };
    },
    { place: 'disk' },
  ),
  graphSubject('colo-buffer', async size => ({ driver: 'colo-buffer', backing: { driver: 'memory', size } }), {
    replicates: true,
  }),
  graphSubject(
    'replication',
    async size => ({
      driver: 'replication',
      children: [
        { driver: 'memory', size },
        { driver: 'memory', size },
      ],
    }),
    { replicates: true },
  ),
  graphSubject('quorum', async size => quorumOf(3, size, { 'vote-threshold': 2 })),
  graphSubject('quorum, first in first out', async size =>
    quorumOf(2, size, { 'vote-threshold': 1, 'read-pattern': 'fifo' }),
  ),
  graphSubject('throttle', async size => ({
    driver: 'throttle',
    'throttle-group': 'limits',
    file: { driver: 'memory', size },
  })),
  nbdSubject,
];
