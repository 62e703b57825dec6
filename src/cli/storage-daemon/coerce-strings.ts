/**
 * From strings to what a schema wants: the values of the key=value syntax have no types of their own.
 *
 * The schema is asked what is wrong with a value; where it wants a number or boolean and has a string that spells one,
 * the string is replaced. What stays wrong is left for the schema's own error.
 */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { parseSize } from '../../base/size.ts';
import type { Driver } from '../../block/driver.ts';

/** Passes over one value; each makes at least one string into something else. */
const MAX_PASSES = 64;

/** The options of every node that are not strings. */
const COMMON_OPTIONS = z.looseObject({
  'read-only': z.boolean().optional(),
  'auto-read-only': z.boolean().optional(),
  'force-share': z.boolean().optional(),
  cache: z.looseObject({ direct: z.boolean().optional(), 'no-flush': z.boolean().optional() }).optional(),
});

/** `value`, with its strings replaced where `schema` wants numbers (also sizes such as 64K) or booleans. */
export function coerceStrings(schema: z.ZodType, value: unknown): unknown {
  const coerced = structuredClone(value);
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const result = schema.safeParse(coerced, { reportInput: true });
    if (result.success || !coerceWhere(coerced, result.error.issues, [])) break;
  }
  return coerced;
}

/** The same for the definition of a node and the definitions in it, each by its driver's options. */
export function coerceDefinition(definition: unknown, drivers: readonly Driver[]): unknown {
  if (Array.isArray(definition)) return definition.map(element => coerceDefinition(element, drivers));
  if (typeof definition !== 'object' || definition === null) return definition;
  const inner = Object.fromEntries(
    Object.entries(definition).map(([key, value]) => [key, coerceDefinition(value, drivers)]),
  );
  const driver = drivers.find(({ name, aliases }) => name === inner.driver || aliases?.includes(String(inner.driver)));
  if (driver === undefined) return inner;
  return coerceStrings(driver.options, coerceStrings(COMMON_OPTIONS, inner));
}

/** Replaces strings of `root` at the places the issues name; true if it replaced one. */
function coerceWhere(root: unknown, issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[]): boolean {
  let replaced = false;
  for (const issue of issues) {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'invalid_union') {
      for (const branch of issue.errors) replaced = coerceWhere(root, branch, path) || replaced;
    } else if (issue.code === 'invalid_type') {
      replaced = replaceAt(root, path, issue.expected) || replaced;
      if (!replaced && prefix.length === 0) refuseText(issue, path);
    }
  }
  return replaced;
}

/** QEMU's words for text that does not spell what is wanted. */
function refuseText(issue: z.core.$ZodIssueInvalidType, path: readonly PropertyKey[]): void {
  if (typeof issue.input !== 'string') return;
  const name = path.map(String).join('.');
  if (issue.expected === 'boolean') throw new UsageError(`Parameter '${name}' expects 'on' or 'off'`);
  if (issue.expected === 'int' || issue.expected === 'number') {
    throw new UsageError(`Parameter '${name}' expects integer`);
  }
}

function replaceAt(root: unknown, path: readonly PropertyKey[], expected: string): boolean {
  const key = path.at(-1);
  let holder: unknown = root;
  for (const name of path.slice(0, -1)) {
    holder = typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined;
  }
  if (key === undefined || typeof holder !== 'object' || holder === null) return false;
  const text: unknown = Reflect.get(holder, key);
  const value = typeof text === 'string' ? convert(text, expected) : undefined;
  return value !== undefined && Reflect.set(holder, key, value);
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['true', true],
  ['yes', true],
  ['off', false],
  ['false', false],
  ['no', false],
]);

function convert(text: string, expected: string): boolean | number | undefined {
  switch (expected) {
    case 'boolean':
      return BOOLEANS.get(text);
    case 'number':
    case 'int':
      return /^\d+[KMGT]?$/i.test(text) ? parseSize(text, 'Number') : undefined;
    default:
      return undefined;
  }
}
