/** JSON values as the monitor reads and writes them. */

import { numberOf } from '../../block/qapi-types.ts';

/**
 * An integer that a double cannot hold exactly is a bigint. A whole number that is written as none, such as `1e6` or
 * `1.0`, may be a symbol described by its text (see JsonReader): no schema takes that for an integer.
 */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | symbol
  | string
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue };

/** True for a JSON object. */
export function isJsonObject(value: JsonValue): value is { readonly [member: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `value` as JSON in ASCII characters; members that are undefined are left out. */
export function encodeJson(value: unknown): string {
  try {
    return toAscii(JSON.stringify(value) ?? 'null');
  } catch {
    // There is a bigint in it.
    return encodeExactly(value);
  }
}

/** The same for what a client sent: also bigints, symbols, and the sign of -0. */
export function encodeExactly(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'symbol') return encodeExactly(numberOf(value));
  if (typeof value === 'string') return encodeString(value);
  if (Object.is(value, -0)) return '-0';
  if (Array.isArray(value)) return `[${value.map(encodeExactly).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) members.push(`${encodeString(name)}:${encodeExactly(member)}`);
  }
  return `{${members.join(',')}}`;
}

function encodeString(text: string): string {
  return toAscii(JSON.stringify(text));
}

function toAscii(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
  );
}
