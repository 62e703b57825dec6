/** Types and members as Markdown. */

import type { MemberDescription, TypeDescription } from '../../src/monitor/schema/type-description.ts';

/** A row of a table: a member, or a member of a member by its dotted name. */
export type Row = {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
  readonly fallback: unknown;
  readonly meaning: string;
};

const SCALARS: Readonly<Record<string, string>> = {
  string: 'string',
  int: 'integer',
  number: 'number',
  boolean: 'boolean',
  null: 'null',
  any: 'any value',
};

/** The members and, behind each, the members of what it holds. */
export function rowsOf(members: readonly MemberDescription[], prefix = ''): readonly Row[] {
  return members.flatMap(member => {
    const name = `${prefix}${member.name}`;
    const { isOptional, fallback } = member;
    const row = { name, type: typeText(member.type), isOptional, fallback, meaning: inTable(member.meaning ?? '') };
    return [row, ...innerRows(member.type, name)];
  });
}

/** Meanings are parts of sentences; a few begin as if they were whole ones. */
function inTable(meaning: string): string {
  return /^[A-Z][a-z]/.test(meaning) && !/^(Linux|QEMU)/.test(meaning)
    ? `${meaning[0]?.toLowerCase()}${meaning.slice(1)}`
    : meaning;
}

/** The rows of what a type holds, under `name`. */
export function innerRows(type: TypeDescription, name: string): readonly Row[] {
  switch (type.kind) {
    case 'array':
      return innerRows(type.element, `${name}[]`);
    case 'object': {
      const variants = type.variants;
      const own = rowsOf(type.members, `${name}.`);
      const cases = (variants?.cases ?? []).flatMap(({ value, members }) =>
        rowsOf(members, `${name}.`).map(row => {
          const when = `with ${variants?.tag} \`${value}\``;
          return { ...row, meaning: row.meaning === '' ? when : `${when}: ${row.meaning}` };
        }),
      );
      return [...own, ...cases];
    }
    case 'alternate':
      return isNode(type) ? [] : type.options.flatMap(option => innerRows(option, name));
    default:
      return [];
  }
}

/** A type in a few words. */
export function typeText(type: TypeDescription): string {
  switch (type.kind) {
    case 'scalar':
      return SCALARS[type.name] ?? type.name;
    case 'enum':
      return type.values.map(value => `\`${value}\``).join(', ');
    case 'array':
      return type.element.kind === 'enum' ? `list of ${typeText(type.element)}` : `list of ${plural(type.element)}`;
    case 'map':
      return `object: ${typeText(type.value)} by name`;
    case 'object':
      return 'object';
    case 'alternate':
      return isNode(type) ? 'node' : type.options.map(typeText).join(' or ');
  }
}

/** True for a node-name or the definition of a node. */
function isNode({ options }: { readonly options: readonly TypeDescription[] }): boolean {
  return options.some(option => option.kind === 'object' && option.isOpen && option.members[0]?.name === 'driver');
}

function plural(type: TypeDescription): string {
  return type.kind === 'alternate' && !isNode(type) ? type.options.map(plural).join(' or ') : `${typeText(type)}s`;
}

/** A table of arguments; without its last column where no row has a meaning. */
export function argumentTable(rows: readonly Row[], what = 'argument'): string {
  const needed = (row: Row): string =>
    row.fallback !== undefined ? `\`${valueText(row.fallback)}\`` : row.isOptional ? '–' : '*required*';
  return table(
    [what, 'type', 'default', 'meaning'],
    rows.map(row => [`\`${row.name}\``, row.type, needed(row), row.meaning]),
  );
}

function valueText(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

/** A table of what is told: returned, or the data of an event. */
export function resultTable(rows: readonly Row[]): string {
  return table(
    ['member', 'type', 'meaning'],
    rows.map(row => [`\`${row.name}\`${row.isOptional ? ' (not always)' : ''}`, row.type, row.meaning]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const isEmptyAtEnd = rows.every(row => row.at(-1) === '');
  const cut = (cells: readonly string[]): readonly string[] => (isEmptyAtEnd ? cells.slice(0, -1) : cells);
  const line = (cells: readonly string[]): string =>
    `| ${cut(cells)
      .map(cell => cell.replaceAll('|', '\\|'))
      .join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
