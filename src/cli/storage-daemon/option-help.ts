/** What `--object help`, `--object TYPE,help` and `--chardev help` print in place of starting a daemon. */

import * as z from 'zod';
import { OBJECT_DEFINITION } from '../../monitor/user-objects.ts';
import { CHARDEV_BACKENDS } from './chardev.ts';
import type { Step } from './steps.ts';

/** The help that `step` asks for in place of a daemon, or null where it asks for none. */
export function helpOf({ name, text }: Step): string | null {
  if (name === 'object') return objectHelp(text);
  return name === 'chardev' && isHelp(text) ? CHARDEV_HELP : null;
}

const CHARDEV_HELP = `Available chardev backend types:\n${CHARDEV_BACKENDS.map(backend => `  ${backend}\n`).join('')}`;

/** True where `word` asks for help, as QEMU has it. */
export function isHelp(word: string): boolean {
  return word === 'help' || word === '?';
}

/** A schema of JSON Schema, as far as help is printed of it. */
type Described = {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly properties?: { readonly [name: string]: Described };
  readonly anyOf?: readonly Described[];
  readonly oneOf?: readonly Described[];
};

function objectHelp(text: string): string | null {
  const words = text.split(',');
  if (!words.some(isHelp)) return null;
  const [type = ''] = words;
  const shapes = objectShapes();
  const shape = shapes.get(type);
  if (shape === undefined) {
    return `List of user creatable objects:\n${[...shapes.keys()].map(name => `  ${name}\n`).join('')}`;
  }
  const lines = Object.entries(shape)
    .filter(([name]) => name !== 'qom-type' && name !== 'id')
    .map(([name, described]) => `  ${name}=<${typeName(described)}>\n`);
  return lines.length === 0 ? `There are no options for ${type}.\n` : `${type} options:\n${lines.sort().join('')}`;
}

/** The members of each type of object, as its schema has them. */
function objectShapes(): ReadonlyMap<string, { readonly [name: string]: Described }> {
  const schema = z.toJSONSchema(OBJECT_DEFINITION, { io: 'input', unrepresentable: 'any' }) as Described;
  const shapes = (schema.oneOf ?? schema.anyOf ?? []).map(({ properties = {} }) => properties);
  return new Map(shapes.map(shape => [shape['qom-type']?.const ?? '', shape] as const).sort());
}

function typeName({ type, enum: values }: Described): string {
  if (values !== undefined) return values.join('|');
  return { boolean: 'bool', integer: 'int' }[type ?? ''] ?? type ?? 'value';
}
