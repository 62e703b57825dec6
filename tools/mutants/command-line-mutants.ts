/** What breaks the promises to users of qemu-storage-daemon: its options do what they say, its exports are deleted once. */

import type { Mutant } from './mutant.ts';

const POLICY = 'src/block/request-policy.js';
const POLICY_TEST = 'src/block/request-policy.test.js';
const EXPORTS_TEST = 'test/scenarios/export-commands.test.js';

export const commandLineMutants: readonly Mutant[] = [
  {
    rule: 'node options',
    breaks: 'discard=ignore lets zeroes leave holes',
    file: POLICY,
    search: 'request.mayUnmap = false',
    replace: 'request.mayUnmap = true',
    tests: [POLICY_TEST],
  },
  {
    rule: 'node options',
    breaks: 'detect-zeroes takes data that begins with a zero for zeroes',
    file: POLICY,
    search: 'ZEROES.compare(buffer, start, start + bytes, 0, bytes) !== 0',
    replace: 'false',
    tests: [POLICY_TEST],
  },
  {
    rule: 'node options',
    breaks: 'a write of zeroes that failed succeeds',
    file: POLICY,
    search: 'parent?.complete(errno)',
    replace: 'parent?.complete(0)',
    tests: [POLICY_TEST],
  },
  {
    rule: 'exports',
    breaks: 'a writethrough export acknowledges writes that are not durable',
    file: 'src/nbd/server/transmission.js',
    search: 'request.fua ||= this.#target.writethrough;\n                const slab',
    replace: 'const slab',
    tests: ['src/nbd/server/transmission.test.js'],
  },
  {
    rule: 'exports',
    breaks: 'a read-only node is not exported read-only by nbd-server-add',
    file: 'src/monitor/commands/nbd-server-add.js',
    search: 'writable === true && !node.readOnly',
    replace: 'writable === true',
    tests: [EXPORTS_TEST],
  },
  {
    rule: 'objects',
    breaks: 'an object is deleted while a node uses it',
    file: 'src/block/block-graph.js',
    search: 'objects.has(id)',
    replace: 'false',
    tests: [EXPORTS_TEST],
  },
  {
    rule: 'chardevs',
    breaks: 'clients that came before the monitor are never greeted',
    file: 'src/monitor/character-device.js',
    search: '            onClient(client);',
    replace: '            void client;',
    tests: ['src/monitor/character-device.test.js'],
  },
];
