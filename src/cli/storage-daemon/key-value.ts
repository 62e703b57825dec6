/**
 * QEMU's key=value syntax: `driver=file,node-name=disk,filename=/images/a,,b.img` or one JSON object.
 *
 * Dots in a key make objects, and lists where all names at one place are numbers: `children.0.driver=memory`. A comma
 * in a value is written twice. The first value may go without its key where an option says which one it implies.
 * All values are strings until a schema says otherwise (coerce-strings.ts). Source: QEMU util/keyval.c, its comment.
 */

import { assert } from '../../base/assert.ts';
import { UsageError } from '../../base/errors.ts';
import { refuseProto } from '../../block/explain-options.ts';
import { isJsonObject } from '../../monitor/protocol/json-value.ts';
import { parseJson } from '../../monitor/protocol/parse-json.ts';

export type KeyValueTree = string | readonly KeyValueTree[] | { readonly [key: string]: KeyValueTree };

/** Values so far: a leaf, or what is below a name. */
type Branch = Map<string, string | Branch>;

const KEY = /^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)*$/;
const NUMBER = /^(0|[1-9]\d*)$/;

/** True where `text` is a JSON object, of which the types are as written. */
export function isJsonText(text: string): boolean {
  return text.trimStart().startsWith('{');
}

/** The object in `text`, JSON or key=value; throws UsageError saying what is wrong with it. */
export function parseOptionText(text: string, impliedKey: string | null): { readonly [key: string]: unknown } {
  if (!isJsonText(text)) return parseKeyValue(text, impliedKey);
  const value = parseJson(text);
  // It begins with a brace.
  assert(isJsonObject(value), 'The text is an object');
  refuseProto(value);
  return value;
}

/** The tree of strings that `text` spells. */
export function parseKeyValue(text: string, impliedKey: string | null): { readonly [key: string]: KeyValueTree } {
  const root: Branch = new Map();
  for (const [index, parameter] of splitAtCommas(text).entries()) {
    const equals = parameter.indexOf('=');
    if (equals >= 0) insert(root, parameter.slice(0, equals), parameter.slice(equals + 1));
    else if (index === 0 && impliedKey !== null) insert(root, impliedKey, parameter);
    else throw new UsageError(`Expected '=' after parameter '${parameter}'`);
  }
  const tree: { [key: string]: KeyValueTree } = {};
  for (const [key, value] of root) tree[key] = toTree(value, key);
  return tree;
}

/** The parameters of `text`, with doubled commas made single. */
function splitAtCommas(text: string): readonly string[] {
  const parameters: string[] = [];
  let parameter = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== ',') {
      parameter += text[at];
    } else if (text[at + 1] === ',') {
      parameter += ',';
      at += 1;
    } else {
      parameters.push(parameter);
      parameter = '';
    }
  }
  if (parameter !== '') parameters.push(parameter);
  return parameters;
}

function insert(root: Branch, key: string, value: string): void {
  if (!KEY.test(key)) throw new UsageError(`Invalid parameter '${key}'`);
  const names = key.split('.');
  const last = names.pop() as string;
  let branch = root;
  for (const [depth, name] of names.entries()) {
    const below = branch.get(name) ?? new Map();
    if (typeof below === 'string') throw inconsistent(names.slice(0, depth + 1));
    branch.set(name, below);
    branch = below;
  }
  if (typeof (branch.get(last) ?? '') !== 'string') throw inconsistent([...names, last]);
  branch.set(last, value);
}

function toTree(value: string | Branch, key: string): KeyValueTree {
  if (typeof value === 'string') return value;
  const names = [...value.keys()];
  const numbers = names.filter(name => NUMBER.test(name)).length;
  if (numbers === 0) {
    return Object.fromEntries([...value].map(([name, below]) => [name, toTree(below, `${key}.${name}`)]));
  }
  if (numbers < names.length) throw inconsistent([key]);
  return names.map((_, index) => {
    const element = value.get(String(index));
    if (element === undefined) throw new UsageError(`Parameter '${key}.${index}' is missing`);
    return toTree(element, `${key}.${index}`);
  });
}

function inconsistent(names: readonly string[]): UsageError {
  return new UsageError(`Parameters '${names.join('.')}.*' used inconsistently`);
}
