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
  { execute: 'nbd-server-start', arguments: { addr: { type: 'unix', data: { path: '/missing/nbd' } }, 'max-connections': 5 } },
  { execute: 'nbd-server-start', arguments: { addr: { type: 'inet', data: { host: '127.0.0.1', port: '0' } } } },
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
  { execute: 'object-del', arguments: { id: 'zz' } },
  { execute: 'object-add', arguments: { 'qom-type': 'secret', id: '1 o', data: 'x', format: 'raw' } },
  { execute: 'block-dirty-bitmap-add', arguments: { node: 'zz', name: 'b', granularity: 65536, persistent: false, disabled: false } },
  { execute: 'block-dirty-bitmap-remove', arguments: { node: 'zz', name: 'b' } },
  { execute: 'block-dirty-bitmap-clear', arguments: { node: 'zz', name: 'b' } },
  { execute: 'block-dirty-bitmap-merge', arguments: { node: 'zz', target: 'b', bitmaps: ['c', { node: 'd', name: 'e' }] } },
];

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
  'x',
  '1',
  'on',
  'é',
  [],
  [1],
  ['x'],
  {},
  { x: 1 },
];

export class OddArguments {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  next(): OddCommand {
    const command = this.#random.pick(COMMANDS);
    return { ...command, arguments: this.#spoil(command.arguments) };
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
