/** Tokens of one JSON value → the value, with QEMU's words for what is wrong. */

import type { JsonToken } from './json-lexer.ts';
import type { JsonValue } from './json-value.ts';
import { decodeCharacter, isCharacter, showBytes } from './modified-utf8.ts';

/** The tokens are no JSON value. No Error: a client can send thousands a second, and a stack for each costs the most. */
export class JsonSyntaxError {
  readonly message: string;

  constructor(what: string) {
    this.message = `JSON parse error, ${what}`;
  }
}

/**
 * The value that `tokens` spell; throws JsonSyntaxError. Nesting is the caller's to bound. Where `tellsIntegers`, a whole
 * number with a point or an exponent becomes a symbol, so that it can be told from an integer.
 */
export function parseTokens(tokens: readonly JsonToken[], tellsIntegers: boolean): JsonValue {
  return new Parser(tokens, tellsIntegers).value();
}

class Parser {
  readonly #tokens: readonly JsonToken[];
  readonly #tellsIntegers: boolean;
  #at = 0;

  constructor(tokens: readonly JsonToken[], tellsIntegers: boolean) {
    this.#tokens = tokens;
    this.#tellsIntegers = tellsIntegers;
  }

  value(): JsonValue {
    const token = this.#peek();
    this.#at += 1;
    switch (token.kind) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case 'string':
        return unquote(token.text);
      case 'number':
        return toNumber(token.text, this.#tellsIntegers);
      case 'keyword':
        if (token.text === 'null') return null;
        if (token.text === 'true' || token.text === 'false') return token.text === 'true';
        throw new JsonSyntaxError(`invalid keyword '${token.text}'`);
      default:
        throw new JsonSyntaxError('expecting value');
    }
  }

  #object(): JsonValue {
    const members = new Map<string, JsonValue>();
    if (this.#accept('}')) return {};
    do {
      const key = this.value();
      if (typeof key !== 'string') throw new JsonSyntaxError('key is not a string in object');
      if (!this.#accept(':')) throw new JsonSyntaxError('missing : in object pair');
      const value = this.value();
      if (members.has(key)) throw new JsonSyntaxError('duplicate key');
      members.set(key, value);
    } while (this.#accept(','));
    if (!this.#accept('}')) throw new JsonSyntaxError('expected separator in dict');
    return Object.fromEntries(members);
  }

  #array(): JsonValue {
    const elements: JsonValue[] = [];
    if (this.#accept(']')) return elements;
    do elements.push(this.value());
    while (this.#accept(','));
    if (!this.#accept(']')) throw new JsonSyntaxError('expected separator in list');
    return elements;
  }

  #peek(): JsonToken {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new JsonSyntaxError('premature EOI');
    return token;
  }

  #accept(kind: JsonToken['kind']): boolean {
    if (this.#peek().kind !== kind) return false;
    this.#at += 1;
    return true;
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
/** What most strings are: nothing in them needs decoding. */
const PLAIN = /^[^\\\x80-\xff]*$/;

/** The text that a string token spells. */
function unquote(quoted: string): string {
  const end = quoted.length - 1;
  const inner = quoted.slice(1, end);
  if (PLAIN.test(inner)) return inner;
  const parts: string[] = [];
  for (let at = 1; at < end; ) {
    if (quoted[at] === '\\') {
      const escaped = readEscape(quoted, at);
      parts.push(escaped.text);
      at = escaped.end;
    } else {
      const character = decodeCharacter(quoted, at);
      if (character.codePoint < 0) throw new JsonSyntaxError('invalid UTF-8 sequence in string');
      parts.push(String.fromCodePoint(character.codePoint));
      at = character.end;
    }
  }
  return parts.join('');
}

/** The escape sequence whose backslash is at `at`. */
function readEscape(quoted: string, at: number): { readonly text: string; readonly end: number } {
  const letter = quoted[at + 1] ?? '';
  if (letter !== 'u') {
    const text = ESCAPES[letter];
    if (text === undefined) throw new JsonSyntaxError('invalid escape sequence in string');
    return { text, end: at + 2 };
  }
  let end = at + 6;
  let codePoint = hexUnit(quoted, at + 2);
  if (codePoint >= 0xd800 && codePoint <= 0xdbff && quoted.startsWith('\\u', end)) {
    const trailing = hexUnit(quoted, end + 2);
    const isPair = trailing >= 0xdc00 && trailing <= 0xdfff;
    codePoint = isPair ? 0x10000 + (codePoint - 0xd800) * 0x400 + (trailing - 0xdc00) : -1;
    if (isPair) end += 6;
  }
  if (!isCharacter(codePoint)) {
    throw new JsonSyntaxError(`${showBytes(quoted.slice(at, end))} is not a valid Unicode character`);
  }
  return { text: String.fromCodePoint(codePoint), end };
}

/** The number that four hexadecimal digits at `at` spell, or -1. */
function hexUnit(quoted: string, at: number): number {
  const digits = quoted.slice(at, at + 4);
  return /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}

const MAX_UINT64 = 2n ** 64n - 1n;
const MIN_INT64 = -(2n ** 63n);

/** A double, unless it is a 64-bit integer that a double would round, or a whole number that is not to pass for one. */
function toNumber(text: string, tellsIntegers: boolean): JsonValue {
  const value = Number(text);
  if (!/^-?\d+$/.test(text)) return tellsIntegers && Number.isInteger(value) ? Symbol(text) : value;
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  const exact = BigInt(text);
  const is64Bit = exact >= MIN_INT64 && exact <= MAX_UINT64;
  return is64Bit && exact !== BigInt(value) ? exact : value;
}
