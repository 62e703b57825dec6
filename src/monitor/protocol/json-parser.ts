/** Tokens of one JSON value → the value, with QEMU's words for what is wrong. */

import type { JsonToken } from './json-lexer.ts';
import type { JsonValue } from './json-value.ts';

/** The tokens are no JSON value. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';

  constructor(what: string) {
    super(`JSON parse error, ${what}`);
  }
}

/** The value that `tokens` spell; throws JsonSyntaxError. Nesting is the caller's to bound. */
export function parseTokens(tokens: readonly JsonToken[]): JsonValue {
  return new Parser(tokens).value();
}

class Parser {
  readonly #tokens: readonly JsonToken[];
  #at = 0;

  constructor(tokens: readonly JsonToken[]) {
    this.#tokens = tokens;
  }

  value(): JsonValue {
    const token = this.#next();
    switch (token?.kind) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case 'string':
        return unquote(token.text);
      case 'number':
        return toNumber(token.text);
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

  #next(): JsonToken | undefined {
    const token = this.#tokens[this.#at];
    this.#at += 1;
    return token;
  }

  #accept(kind: JsonToken['kind']): boolean {
    if (this.#tokens[this.#at]?.kind !== kind) return false;
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

function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (inner.includes('\ufffd')) throw new JsonSyntaxError('invalid UTF-8 sequence in string');
  if (!inner.includes('\\')) return inner;
  const text = inner.replace(/\\(u([0-9a-fA-F]{4})|.)/gs, (_escape, letter: string, unit: string | undefined) => {
    if (unit !== undefined) return String.fromCharCode(Number.parseInt(unit, 16));
    const character = ESCAPES[letter];
    if (character === undefined) throw new JsonSyntaxError('invalid escape sequence in string');
    return character;
  });
  const lone = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.exec(text);
  if (lone !== null) {
    throw new JsonSyntaxError(`\\u${lone[0].charCodeAt(0).toString(16)} is not a valid Unicode character`);
  }
  return text;
}

const MAX_UINT64 = 2n ** 64n - 1n;
const MIN_INT64 = -(2n ** 63n);

/** A double, unless it is a 64-bit integer that a double would round. */
function toNumber(text: string): JsonValue {
  const value = Number(text);
  if (Number.isSafeInteger(value) || !/^-?\d+$/.test(text)) return value;
  const exact = BigInt(text);
  const is64Bit = exact >= MIN_INT64 && exact <= MAX_UINT64;
  return is64Bit && exact !== BigInt(value) ? exact : value;
}
