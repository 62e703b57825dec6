/** Why options or arguments were refused, in the words of QEMU's monitor. */

import type * as z from 'zod';

/** One sentence for the first thing that is wrong in `error`. */
export function explainOptions(error: z.ZodError): string {
  const issue = innermost(error.issues);
  const name = issue.path.map(String).join('.');
  switch (issue.code) {
    case 'unrecognized_keys':
      return `Parameter '${[...issue.path.map(String), issue.keys[0] ?? ''].join('.')}' is unexpected`;
    case 'invalid_type':
      if (issue.input === undefined) return `Parameter '${name}' is missing`;
      return `Invalid parameter type for '${name}', expected: ${typeName(issue.expected)}`;
    case 'invalid_value':
      return issue.input === undefined
        ? `Parameter '${name}' is missing`
        : `Parameter '${enumName(issue.path)}' does not accept value '${String(issue.input)}'; it takes ${issue.values.map(String).join(', ')}`;
    default:
      return `Parameter '${name}': ${issue.message}`;
  }
}

/** Of a union's failed branches, the issue of the branch that got furthest says most. */
function innermost(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  const [issue] = issues as [z.core.$ZodIssue];
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const branches = issue.errors.map(innermost);
  const deepest = branches.reduce((a, b) => (b.path.length > a.path.length ? b : a));
  return { ...deepest, path: [...issue.path, ...deepest.path] };
}

/** QEMU has no name for an element of an array, and says so. */
function enumName(path: readonly PropertyKey[]): string {
  return typeof path.at(-1) === 'number' ? 'null' : path.map(String).join('.');
}

function typeName(expected: string): string {
  return { record: 'object', int: 'integer', number: 'number' }[expected] ?? expected;
}
