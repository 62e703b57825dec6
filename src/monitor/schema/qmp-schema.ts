/**
 * The monitor's schema in the shape of query-qmp-schema: a list of types, commands and events that refer to each other by
 * name. As with QEMU, names of types are numbers that mean nothing and may change with every version.
 *
 * Source: QEMU docs/devel/qapi-code-gen, Client JSON Protocol introspection.
 */

import { drivers } from '../../drivers/index.ts';
import type { Command } from '../command.ts';
import type { EventDefinition } from '../events/event-definition.ts';
import { describeNode } from './node-description.ts';
import {
  describeObject,
  describeType,
  type MemberDescription,
  type ObjectDescription,
  type TypeDescription,
} from './type-description.ts';

export type SchemaMember = { readonly name: string; readonly type: string; readonly default?: null };

export type SchemaInfo =
  | { readonly name: string; readonly 'meta-type': 'builtin'; readonly 'json-type': string }
  | {
      readonly name: string;
      readonly 'meta-type': 'enum';
      readonly members: readonly { readonly name: string }[];
      readonly values: readonly string[];
    }
  | { readonly name: string; readonly 'meta-type': 'array'; readonly 'element-type': string }
  | {
      readonly name: string;
      readonly 'meta-type': 'object';
      readonly members: readonly SchemaMember[];
      readonly tag?: string;
      readonly variants?: readonly { readonly case: string; readonly type: string }[];
    }
  | { readonly name: string; readonly 'meta-type': 'alternate'; readonly members: readonly { readonly type: string }[] }
  | {
      readonly name: string;
      readonly 'meta-type': 'command';
      readonly 'arg-type': string;
      readonly 'ret-type': string;
      readonly 'allow-oob'?: true;
    }
  | { readonly name: string; readonly 'meta-type': 'event'; readonly 'arg-type': string };

/** QEMU's names of the types JSON has. */
const BUILTIN = {
  string: ['str', 'string'],
  int: ['int', 'int'],
  number: ['number', 'number'],
  boolean: ['bool', 'boolean'],
  null: ['null', 'null'],
  any: ['any', 'value'],
} as const;

const NOTHING: ObjectDescription = { kind: 'object', members: [], isOpen: false, variants: null };

/** What `command` takes; of nodes it leaves to their drivers what they take. */
export function describeArguments(command: Command): ObjectDescription {
  switch (command.name) {
    case 'blockdev-add':
      return describeNode(drivers);
    case 'blockdev-reopen': {
      const described = describeObject(command.arguments);
      const type: TypeDescription = { kind: 'array', element: describeNode(drivers) };
      return { ...described, members: described.members.map(member => ({ ...member, type })) };
    }
    default:
      return describeObject(command.arguments);
  }
}

/** What `commands` and `events` are made of. */
export function makeQmpSchema(
  commands: readonly Command[],
  events: Readonly<Record<string, EventDefinition>>,
): readonly SchemaInfo[] {
  const types = new TypeTable();
  types.nameOf(NOTHING);
  const entities: SchemaInfo[] = [];
  for (const command of commands) {
    entities.push({
      name: command.name,
      'meta-type': 'command',
      'arg-type': types.nameOf(describeArguments(command)),
      'ret-type': types.nameOf(command.returns === null ? NOTHING : describeType(command.returns)),
      ...(command.allowOutOfBand ? { 'allow-oob': true as const } : {}),
    });
  }
  for (const [name, { data }] of Object.entries(events)) {
    entities.push({ name, 'meta-type': 'event', 'arg-type': types.nameOf(describeObject(data)) });
  }
  return [...entities, ...types.infos];
}

/** Gives each type that looks different a name of its own. */
class TypeTable {
  readonly infos: SchemaInfo[] = [];
  readonly #names = new Map<string, string>();
  #last = 0;

  nameOf(type: TypeDescription): string {
    const key = JSON.stringify(shapeOf(type));
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.#newName(type);
    this.#names.set(key, name);
    this.infos.push(this.#info(name, type));
    return name;
  }

  #newName(type: TypeDescription): string {
    if (type.kind === 'scalar') return BUILTIN[type.name][0];
    if (type.kind === 'array') return `[${this.nameOf(type.element)}]`;
    return String(this.#last++);
  }

  #info(name: string, type: TypeDescription): SchemaInfo {
    switch (type.kind) {
      case 'scalar':
        return { name, 'meta-type': 'builtin', 'json-type': BUILTIN[type.name][1] };
      case 'enum':
        return { name, 'meta-type': 'enum', members: type.values.map(value => ({ name: value })), values: type.values };
      case 'array':
        return { name, 'meta-type': 'array', 'element-type': this.nameOf(type.element) };
      case 'alternate':
        return { name, 'meta-type': 'alternate', members: type.options.map(option => ({ type: this.nameOf(option) })) };
      case 'map':
        // QAPI knows no members of any name.
        return { name, 'meta-type': 'object', members: [] };
      case 'object':
        return this.#object(name, type);
    }
  }

  #object(name: string, { members, variants }: ObjectDescription): SchemaInfo {
    const described = members.map(member => this.#member(member));
    if (variants === null) return { name, 'meta-type': 'object', members: described };
    const cases = variants.cases.map(({ value, members: own }) => ({
      case: value,
      type: this.nameOf({ ...NOTHING, members: own }),
    }));
    return { name, 'meta-type': 'object', members: described, tag: variants.tag, variants: cases };
  }

  #member({ name, type, isOptional }: MemberDescription): SchemaMember {
    return { name, type: this.nameOf(type), ...(isOptional ? { default: null } : {}) };
  }
}

/** What of a type makes it different: not what its members mean, nor what they are where they are left out. */
function shapeOf(type: TypeDescription): unknown {
  const members = (of: readonly MemberDescription[]): unknown =>
    of.map(member => [member.name, member.isOptional, shapeOf(member.type)]);
  switch (type.kind) {
    case 'array':
      return ['array', shapeOf(type.element)];
    case 'map':
      return ['map', shapeOf(type.value)];
    case 'alternate':
      return ['alternate', ...type.options.map(shapeOf)];
    case 'object': {
      const { variants } = type;
      const cases = variants?.cases.map(({ value, members: own }) => [value, members(own)]) ?? [];
      return ['object', members(type.members), variants?.tag ?? '', cases];
    }
    default:
      return type;
  }
}
