/** OddArguments: arguments of commands, right but for one place, made from a seed. */

import { SeededRandom } from './seeded-random.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json };

export type OddCommand = { readonly execute: string; readonly arguments: Json };

/** Commands that change nothing: what they name is not there, or they only ask. */
// biome-ignore format: a line each
const COMMANDS: readonly [OddCommand, ...OddCommand[]] = [
  { execute: 'query-version', arguments: {} },
  { execute: 'query-jobs', arguments: {} },
  { execute: 'query-named-block-nodes', arguments: { flat: true } },
  { execute: 'query-block-exports', arguments: {} },
  { execute: 'nbd-server-stop', arguments: {} },
  { execute: 'nbd-server-start', arguments: { addr: { type: 'inet', data: { host: '127.0.0.1', port: '0' } }, 'max-connections': 5 } },
  { execute: 'block-export-add', arguments: { type: 'nbd', id: 'e', 'node-name': 'zz', name: 'n', description: 'd', writable: true, bitmaps: ['b'] } },
  { execute: 'block-export-add', arguments: { type: 'nbd', id: 'e', 'node-name': 'zz', bitmaps: [{ node: 'a', name: 'b' }], 'allocation-depth': true } },
  { execute: 'block-export-del', arguments: { id: 'zz', mode: 'hard' } },
  { execute: 'blockdev-del', arguments: { 'node-name': 'zz' } },
  { execute: 'blockdev-add', arguments: { driver: 'raw', 'node-name': 'n', file: 'zz' } },
  { execute: 'blockdev-add', arguments: { driver: 'null-co', 'node-name': 'a b', 'read-only': false, size: 4096 } },
  { execute: 'blockdev-add', arguments: { driver: 'raw', 'node-name': 'a', file: { driver: 'raw', file: { driver: 'file', filename: '/missing/x' } } } },
  { execute: 'blockdev-reopen', arguments: { options: [{ driver: 'null-co', 'node-name': 'zz', 'read-only': true }] } },
  { execute: 'block_resize', arguments: { 'node-name': 'zz', size: 4096 } },
  { execute: 'x-blockdev-change', arguments: { parent: 'zz', node: 'yy' } },
  { execute: 'job-pause', arguments: { id: 'zz' } },
  { execute: 'job-resume', arguments: { id: 'zz' } },
  { execute: 'job-cancel', arguments: { id: 'zz' } },
  { execute: 'job-complete', arguments: { id: 'zz' } },
  { execute: 'job-dismiss', arguments: { id: 'zz' } },
  { execute: 'job-finalize', arguments: { id: 'zz' } },
  { execute: 'query-block-jobs', arguments: {} },
  { execute: 'block-job-pause', arguments: { device: 'zz' } },
  { execute: 'block-job-cancel', arguments: { device: 'zz', force: true } },
  { execute: 'block-job-set-speed', arguments: { device: 'zz', speed: 1024 } },
  { execute: 'block-job-finalize', arguments: { id: 'zz' } },
  { execute: 'blockdev-mirror', arguments: { 'job-id': 'j', device: 'zz', target: 'yy', sync: 'full', granularity: 65536, 'on-source-error': 'report', 'copy-mode': 'background' } },
  { execute: 'blockdev-backup', arguments: { 'job-id': 'j', device: 'zz', target: 'yy', sync: 'full', speed: 0, 'auto-dismiss': false } },
  { execute: 'block-commit', arguments: { 'job-id': 'j', device: 'zz', 'base-node': 'b', 'top-node': 't', speed: 0, 'on-error': 'stop' } },
  { execute: 'blockdev-add', arguments: { driver: 'quorum', 'node-name': 'a', children: ['zz', { driver: 'null-co' }], 'vote-threshold': 1, 'read-pattern': 'fifo' } },
  { execute: 'blockdev-add', arguments: { driver: 'throttle', 'node-name': 'a', 'throttle-group': 'g', file: 'zz' } },
  { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: '1 g', limits: { 'iops-total': 5, 'bps-read': 1, 'iops-size': 4096 } } },
  { execute: 'object-del', arguments: { id: 'zz' } },
  { execute: 'object-add', arguments: { 'qom-type': 'secret', id: '1 o', data: 'x', format: 'raw' } },
  { execute: 'block-dirty-bitmap-add', arguments: { node: 'zz', name: 'b', granularity: 65536, persistent: false, disabled: false } },
  { execute: 'block-dirty-bitmap-remove', arguments: { node: 'zz', name: 'b' } },
  { execute: 'block-dirty-bitmap-clear', arguments: { node: 'zz', name: 'b' } },
  { execute: 'block-dirty-bitmap-merge', arguments: { node: 'zz', target: 'b', bitmaps: ['c', { node: 'd', name: 'e' }] } },
];

/** No text here is a valid name of a node: what is added by mistake would make later commands differ. */
const VALUES: readonly [Json, ...Json[]] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  1.5,
  4294967296,
  1e19,
  '',
  '?',
  '1',
  'on!',
  'é',
  [],
  [1],
  ['?'],
  {},
  { x: 1 },
];

export class OddArguments {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  next(): OddCommand {
    for (;;) {
      const { execute, arguments: args } = this.#random.pick(COMMANDS);
      const command = { execute, arguments: this.#spoil(args) };
      if (!isFatal(command)) return command;
    }
  }

  /** `value` with one member or element, at any depth, left out, replaced or added. */
  #spoil(value: Json): Json {
    if (typeof value !== 'object' || value === null) return this.#random.pick(VALUES);
    if (Array.isArray(value)) {
      const at = this.#random.below(value.length + 1);
      if (at === value.length) return [...value, this.#random.pick(VALUES)];
      return value.map((element: Json, index) => (index === at ? this.#spoil(element) : element));
    }
    const members = Object.entries(value as Readonly<Record<string, Json>>);
    const at = this.#random.below(members.length + 1);
    const chosen = members[at];
    if (chosen === undefined) return { ...value, x: this.#random.pick(VALUES) };
    const [name, member] = chosen;
    const rest = Object.fromEntries(members.filter(other => other !== chosen));
    const how = this.#random.below(4);
    if (how === 0) return rest;
    if (how === 1) return { ...rest, [name]: this.#random.pick(VALUES) };
    return { ...rest, [name]: this.#spoil(member) };
  }
}

/** True where QEMU 7.2 ends by an assertion: a blockdev-reopen of nothing. */
function isFatal({ execute, arguments: args }: OddCommand): boolean {
  if (execute !== 'blockdev-reopen' || typeof args !== 'object' || args === null || !('options' in args)) return false;
  return Array.isArray(args.options) && args.options.length === 0;
}
