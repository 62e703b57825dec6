/** TypeDescription: a schema as documentation and query-qmp-schema tell it: what may be sent, without how it is checked. */

import type * as z from 'zod';
import { descriptionOf } from '../../block/qapi-types.ts';

export type TypeDescription =
  | { readonly kind: 'scalar'; readonly name: 'string' | 'int' | 'number' | 'boolean' | 'null' | 'any' }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'array'; readonly element: TypeDescription }
  /** Members by any name, all of one type. */
  | { readonly kind: 'map'; readonly value: TypeDescription }
  | ObjectDescription
  /** One of several types, told apart by their JSON type. */
  | { readonly kind: 'alternate'; readonly options: readonly TypeDescription[] };

export type ObjectDescription = {
  readonly kind: 'object';
  readonly members: readonly MemberDescription[];
  /** Further members are for others to check, such as a driver. */
  readonly isOpen: boolean;
  /** Further members by the value of one. */
  readonly variants: VariantsDescription | null;
};

export type VariantsDescription = {
  readonly tag: string;
  readonly cases: readonly { readonly value: string; readonly members: readonly MemberDescription[] }[];
};

export type MemberDescription = {
  readonly name: string;
  readonly type: TypeDescription;
  readonly isOptional: boolean;
  /** What it is where it is left out; undefined where that is nothing. */
  readonly fallback: unknown;
  /** What it means. */
  readonly meaning: string | null;
};

const ANY: TypeDescription = { kind: 'scalar', name: 'any' };

/** What `schema` takes. */
export function describeType(schema: z.core.$ZodType): TypeDescription {
  const type = descriptionOf(schema as z.ZodType) as z.core.$ZodType as z.core.$ZodTypes;
  const { def } = type._zod;
  switch (def.type) {
    case 'string':
      return { kind: 'scalar', name: 'string' };
    case 'boolean':
    case 'null':
      return { kind: 'scalar', name: def.type };
    case 'number':
      return { kind: 'scalar', name: 'format' in def ? 'int' : 'number' };
    case 'enum':
      return { kind: 'enum', values: Object.values(def.entries).map(String) };
    case 'literal':
      return describeLiteral(def.values);
    case 'array':
      return { kind: 'array', element: describeType(def.element) };
    case 'record':
      return { kind: 'map', value: describeType(def.valueType) };
    case 'object':
      return {
        kind: 'object',
        members: Object.entries(def.shape).map(([name, member]) => describeMember(name, member)),
        isOpen: def.catchall !== undefined && def.catchall._zod.def.type !== 'never',
        variants: null,
      };
    case 'union':
      return describeUnion(def);
    case 'nullable':
      return { kind: 'alternate', options: [describeType(def.innerType), { kind: 'scalar', name: 'null' }] };
    case 'optional':
    case 'default':
    case 'prefault':
    case 'readonly':
    case 'nonoptional':
    case 'catch':
      return describeType(def.innerType);
    case 'pipe':
      return describeType(def.in._zod.def.type === 'transform' ? def.out : def.in);
    case 'lazy':
      return describeType(def.getter());
    default:
      return ANY;
  }
}

function describeLiteral(values: readonly unknown[]): TypeDescription {
  switch (typeof values[0]) {
    case 'boolean':
      return { kind: 'scalar', name: 'boolean' };
    case 'number':
      return { kind: 'scalar', name: 'int' };
    default:
      return { kind: 'enum', values: values.map(String) };
  }
}

/** The description of a schema of arguments or data, which is an object. */
export function describeObject(schema: z.core.$ZodType): ObjectDescription {
  const description = describeType(schema);
  if (description.kind !== 'object') throw new Error(`A schema of members is of kind ${description.kind}`);
  return description;
}

function describeMember(name: string, schema: z.core.$ZodType): MemberDescription {
  let isOptional = false;
  let fallback: unknown;
  let meaning: string | null = null;
  for (let inner = schema as z.core.$ZodTypes; ; ) {
    meaning ??= (inner as { description?: string }).description ?? null;
    const { def } = inner._zod;
    if (def.type === 'default' || def.type === 'prefault') fallback = def.defaultValue;
    if (def.type === 'optional' || def.type === 'default' || def.type === 'prefault') isOptional = true;
    if (!('innerType' in def)) break;
    inner = def.innerType as z.core.$ZodTypes;
  }
  return { name, type: describeType(schema), isOptional, fallback, meaning };
}

function describeUnion(def: z.core.$ZodUnionDef | z.core.$ZodDiscriminatedUnionDef): TypeDescription {
  const options = def.options.map(describeType);
  if (!('discriminator' in def)) return simplified(options);
  const tag = def.discriminator;
  const objects = options.filter(option => option.kind === 'object');
  const common = objects[0]?.members.filter(
    ({ name }) => name !== tag && objects.every(object => object.members.some(member => member.name === name)),
  );
  const shared = (common ?? []).filter(({ name }) => objects.every(object => sameMember(objects[0], object, name)));
  const names = new Set([tag, ...shared.map(({ name }) => name)]);
  const cases = objects.flatMap(object => {
    const members = object.members.filter(({ name }) => !names.has(name));
    return tagValues(object, tag).map(value => ({ value, members }));
  });
  const tagMember = objects[0]?.members.find(({ name }) => name === tag);
  const type: TypeDescription = { kind: 'enum', values: cases.map(({ value }) => value) };
  const meaning = tagMember?.meaning ?? null;
  const member = { name: tag, type, isOptional: false, fallback: undefined, meaning };
  return { kind: 'object', members: [member, ...shared], isOpen: false, variants: { tag, cases } };
}

/** Two options that look alike are one, and so are a number and a text that spells it. */
function simplified(options: readonly TypeDescription[]): TypeDescription {
  const unique = options.filter(
    (option, index) => options.findIndex(other => JSON.stringify(other) === JSON.stringify(option)) === index,
  );
  return unique.length === 1 && unique[0] !== undefined ? unique[0] : { kind: 'alternate', options: unique };
}

function sameMember(a: ObjectDescription | undefined, b: ObjectDescription, name: string): boolean {
  const find = (object: ObjectDescription | undefined) => object?.members.find(member => member.name === name);
  return JSON.stringify(find(a)) === JSON.stringify(find(b));
}

function tagValues(object: ObjectDescription, tag: string): readonly string[] {
  const type = object.members.find(({ name }) => name === tag)?.type;
  return type?.kind === 'enum' ? type.values : [];
}
