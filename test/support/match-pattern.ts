/** What a transcript expects of a value: equality, but for the places it leaves open with `...`. */

/** Stands for anything: a value, further members of an object, further elements of an array, the rest of a string. */
const ANYTHING = '...';

/** Where `value` is not as `pattern` has it, in words, or null where it is. */
export function mismatch(pattern: unknown, value: unknown, where = 'the message'): string | null {
  if (pattern === ANYTHING) return value === undefined ? `${where} is missing` : null;
  if (typeof pattern === 'string' && pattern.endsWith(ANYTHING)) {
    const start = pattern.slice(0, -ANYTHING.length);
    return typeof value === 'string' && value.startsWith(start) ? null : differs(pattern, value, where);
  }
  if (Array.isArray(pattern))
    return Array.isArray(value) ? inArray(pattern, value, where) : differs(pattern, value, where);
  if (isObject(pattern)) return isObject(value) ? inObject(pattern, value, where) : differs(pattern, value, where);
  return Object.is(pattern, value) ? null : differs(pattern, value, where);
}

function inArray(pattern: readonly unknown[], value: readonly unknown[], where: string): string | null {
  const open = pattern.at(-1) === ANYTHING;
  const expected = open ? pattern.slice(0, -1) : pattern;
  if (open ? value.length < expected.length : value.length !== expected.length) return differs(pattern, value, where);
  return first(expected.map((element, index) => mismatch(element, value[index], `${where}[${index}]`)));
}

function inObject(pattern: Readonly<Record<string, unknown>>, value: Readonly<Record<string, unknown>>, where: string) {
  const { [ANYTHING]: open, ...expected } = pattern;
  const surplus = Object.keys(value).find(name => !(name in expected));
  if (open === undefined && surplus !== undefined) return `${where} has a member '${surplus}'`;
  return first(Object.entries(expected).map(([name, member]) => mismatch(member, value[name], `'${name}'`)));
}

function first(mismatches: readonly (string | null)[]): string | null {
  return mismatches.find(found => found !== null) ?? null;
}

function differs(pattern: unknown, value: unknown, where: string): string {
  return `${where} is ${JSON.stringify(value)} and not ${JSON.stringify(pattern)}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
