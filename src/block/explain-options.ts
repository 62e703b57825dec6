/** Why options or arguments were refused, in the words of QEMU's monitor. */

import type * as z from 'zod';
import { UsageError } from '../base/errors.ts';

/** How a schema's own message begins that goes behind the parameter's name, as `expects uint32_t`. */
const EXPECTS = 'expects ';
/** How the library words a value out of its range. */
const ZODS_OWN = /^Too (?:small|big): /;
/** How the message of an alternate's schema begins, which names it. */
const EXPECTED = 'expected: ';

/**
 * One sentence for the first thing that is wrong in `error`, which must report its input; `prefix` leads to the options
 * from what the user gave.
 */
export function explainOptions(error: z.ZodError, prefix: readonly PropertyKey[] = []): string {
  const found = innermost(error.issues);
  const issue = { ...found, path: [...prefix, ...found.path] };
  const name = fullName(issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return `Parameter '${fullName([...issue.path, issue.keys[0] ?? ''])}' is unexpected`;
    case 'invalid_type':
      if (issue.input === undefined) return `Parameter '${name}' is missing`;
      if (issue.message.startsWith(EXPECTS)) return `Parameter '${name}' ${issue.message}`;
      return `Invalid parameter type for '${name}', expected: ${typeName(issue.expected)}`;
    case 'invalid_value':
      return explainChoice(issue.path, issue.input, issue.values.map(String));
    case 'invalid_union':
      if (issue.message.startsWith(EXPECTED)) {
        if (issue.input === undefined) return `Parameter '${name}' is missing`;
        return `Invalid parameter type for '${lastName(issue.path)}', ${issue.message}`;
      }
      return explainDiscriminator(issue);
    case 'too_big':
    case 'too_small':
      // Beyond what a double holds exactly.
      if (issue.origin === 'int' && !issue.message.startsWith(EXPECTS))
        return `Invalid parameter type for '${name}', expected: integer`;
      if (ZODS_OWN.test(issue.message)) return `Parameter '${name}' ${explainRange(issue)}`;
      return explainOther(issue, name);
    default:
      return explainOther(issue, name);
  }
}

/** What a value out of its range should have been; a schema may have words of its own for that. */
function explainRange(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const unit = { string: ' characters', array: ' elements' }[issue.origin as string] ?? '';
  if (issue.code === 'too_big') return `expects at most ${issue.maximum}${unit}`;
  return issue.minimum === 0 ? 'expects a non-negative value' : `expects at least ${issue.minimum}${unit}`;
}

function explainOther({ message }: z.core.$ZodIssue, name: string): string {
  return message.startsWith(EXPECTS) ? `Parameter '${name}' ${message}` : `Parameter '${name}': ${message}`;
}

/** Of a union's failed branches, the issue of the branch that got furthest says most. */
function innermost(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  const [issue] = issues as [z.core.$ZodIssue];
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const branches = issue.errors.map(innermost);
  const furthest = branches.reduce((a, b) => (progress(b) > progress(a) ? b : a));
  const fitsNone = progress(furthest) === 0;
  if (fitsNone && issue.message.startsWith(EXPECTED)) return issue;
  return { ...furthest, path: [...issue.path, ...furthest.path] };
}

/** How far a value got in a branch: into a member, to its surplus members, or nowhere. */
function progress({ path, code }: z.core.$ZodIssue): number {
  return path.length + (code === 'unrecognized_keys' ? 0.5 : 0);
}

/** A value of a fixed set is wrong. What is behind the semicolon is ours. */
function explainChoice(path: readonly PropertyKey[], input: unknown, values: readonly string[]): string {
  if (input === undefined) return `Parameter '${fullName(path)}' is missing`;
  if (typeof input !== 'string') {
    const type = values.every(isBoolean) ? 'boolean' : 'string';
    return `Invalid parameter type for '${fullName(path)}', expected: ${type}`;
  }
  return `Parameter '${lastName(path)}' does not accept value '${input}'; it takes ${values.join(', ')}`;
}

function explainDiscriminator(issue: z.core.$ZodIssueInvalidUnion): string {
  const member = String(issue.path.at(-1) ?? '');
  const given = issue.input as Readonly<Record<string, unknown>> | undefined;
  const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
  return explainChoice(issue.path, given?.[member], options);
}

/** QEMU's name of a nested member: `server.path`, `bitmaps[1].name`. */
function fullName(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

/**
 * Throws UsageError where an object in `value`, as it was read, has a member called `__proto__`, which a schema does
 * not look at; no option is called that.
 */
export function refuseProto(value: unknown, path: readonly PropertyKey[] = []): void {
  if (typeof value !== 'object' || value === null) return;
  if (Object.hasOwn(value, '__proto__')) {
    throw new UsageError(`Parameter '${fullName([...path, '__proto__'])}' is unexpected`);
  }
  const isArray = Array.isArray(value);
  for (const [key, member] of Object.entries(value)) refuseProto(member, [...path, isArray ? Number(key) : key]);
}

/** How QEMU names the place of a choice: by the last member, and it has no name for an element of an array. */
function lastName(path: readonly PropertyKey[]): string {
  return typeof path.at(-1) === 'number' ? 'null' : String(path.at(-1) ?? '');
}

function isBoolean(value: string): boolean {
  return value === 'true' || value === 'false';
}

/** QEMU's numbers are integers, whose schema says `number` of a text. */
function typeName(expected: string): string {
  return { record: 'object', int: 'integer', number: 'integer' }[expected] ?? expected;
}
