/** How the schemas of two monitors differ, for the commands that both know (query-qmp-schema). */

import type { SchemaInfo, SchemaMember } from '../../src/monitor/schema/qmp-schema.ts';

type Infos = ReadonlyMap<string, SchemaInfo>;
type Pair = { readonly own: Infos; readonly theirs: Infos };

/** Types below this many members are not followed: QEMU's block nodes nest without end. */
const MAX_DEPTH = 6;

/** What of `own` is not as in `theirs`, a line each. What theirs may leave out of an answer may be missing in `own`. */
export function compareSchemas(own: readonly SchemaInfo[], theirs: readonly SchemaInfo[]): readonly string[] {
  const pair = { own: byName(own), theirs: byName(theirs) };
  const differences: string[] = [];
  for (const info of own) {
    const other = pair.theirs.get(info.name);
    if (info['meta-type'] === 'command' && other?.['meta-type'] === 'command') {
      differences.push(...compareTypes(info['arg-type'], other['arg-type'], pair, info.name, 0));
      differences.push(...compareTypes(info['ret-type'], other['ret-type'], pair, `${info.name} returns`, 0));
      if (info['allow-oob'] !== other['allow-oob']) differences.push(`${info.name}: allow-oob`);
    }
    if (info['meta-type'] === 'event' && other?.['meta-type'] === 'event') {
      differences.push(...compareTypes(info['arg-type'], other['arg-type'], pair, info.name, 0));
    }
  }
  return differences;
}

function byName(infos: readonly SchemaInfo[]): Infos {
  // Types and commands share no name: those of types are numbers, or those of JSON's types.
  return new Map(infos.map(info => [info.name, info]));
}

function compareTypes(ownName: string, theirName: string, pair: Pair, where: string, depth: number): readonly string[] {
  const own = pair.own.get(ownName);
  const theirs = pair.theirs.get(theirName);
  if (own === undefined || theirs === undefined) return [`${where}: a type is not described`];
  if (depth > MAX_DEPTH) return [];
  if (own['meta-type'] === 'enum' && theirs['meta-type'] === 'enum') {
    const surplus = own.values.filter(value => !theirs.values.includes(value));
    const missing = theirs.values.filter(value => !own.values.includes(value));
    return [
      ...surplus.map(value => `${where}: takes ${value} as well`),
      ...missing.map(value => `${where}: does not take ${value}`),
    ];
  }
  if (own['meta-type'] === 'array' && theirs['meta-type'] === 'array') {
    return compareTypes(own['element-type'], theirs['element-type'], pair, `${where}[]`, depth + 1);
  }
  if (own['meta-type'] === 'object' && theirs['meta-type'] === 'object') {
    return compareObjects(own, theirs, pair, where, depth);
  }
  if (own['meta-type'] === 'alternate' && theirs['meta-type'] === 'alternate') {
    const kinds = (infos: Infos, info: typeof own): string =>
      info.members
        .map(({ type }) => jsonType(infos, type))
        .sort()
        .join(' or ');
    const [ownKinds, theirKinds] = [kinds(pair.own, own), kinds(pair.theirs, theirs)];
    return ownKinds === theirKinds ? [] : [`${where}: is ${ownKinds} and not ${theirKinds}`];
  }
  const [ownType, theirType] = [jsonType(pair.own, ownName), jsonType(pair.theirs, theirName)];
  return ownType === theirType ? [] : [`${where}: is ${ownType} and not ${theirType}`];
}

type ObjectInfo = Extract<SchemaInfo, { readonly 'meta-type': 'object' }>;

function compareObjects(own: ObjectInfo, theirs: ObjectInfo, pair: Pair, where: string, depth: number): string[] {
  const differences: string[] = [];
  for (const { name, type, default: fallback } of own.members) {
    const at = `${where}.${name}`;
    const other = findMember(theirs, name, pair.theirs);
    if (other === undefined) {
      differences.push(`${at}: is not there in QEMU`);
      continue;
    }
    // What is returned may be there always where QEMU leaves it out at times.
    const isPromised = where.includes(' returns') && fallback !== null;
    if ((fallback === null) !== (other.default === null) && !isPromised) {
      differences.push(`${at}: ${fallback === null ? 'may' : 'may not'} be left out`);
    }
    differences.push(...compareTypes(type, other.type, pair, at, depth + 1));
  }
  for (const { name, default: fallback } of theirs.members) {
    const needless = where.includes(' returns') && fallback === null;
    if (needless || findMember(own, name, pair.own) !== undefined) continue;
    differences.push(`${where}.${name}: is missing`);
  }
  for (const { case: value, type } of own.variants ?? []) {
    const other = theirs.variants?.find(variant => variant.case === value);
    if (other === undefined) continue;
    const common = new Set(theirs.members.map(({ name }) => name));
    const found = compareTypes(type, other.type, pair, `${where}(${value})`, depth + 1);
    differences.push(...found.filter(line => !isAbout(line, `${where}(${value})`, common)));
  }
  return differences;
}

/** The member called `name`, of the object itself or of one of its variants. */
function findMember(object: ObjectInfo, name: string, infos: Infos): SchemaMember | undefined {
  const variants = (object.variants ?? []).map(({ type }) => infos.get(type));
  const all = [object, ...variants].flatMap(info => (info?.['meta-type'] === 'object' ? info.members : []));
  return all.find(member => member.name === name);
}

/** True where `line` says that a variant has a member which in QEMU all variants have. */
function isAbout(line: string, where: string, members: ReadonlySet<string>): boolean {
  return [...members].some(name => line === `${where}.${name}: is not there in QEMU`);
}

function jsonType(infos: Infos, name: string): string {
  const info = infos.get(name);
  return info?.['meta-type'] === 'builtin' ? info['json-type'] : (info?.['meta-type'] ?? 'unknown');
}
