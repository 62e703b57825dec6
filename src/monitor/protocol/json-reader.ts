/**
 * JsonReader: a stream of bytes → JSON values, framed by value and not by line.
 *
 * The words of the errors are QEMU's. Bounded: a value that is deeper, longer or of more tokens than the limits below
 * is refused and the rest of its line is skipped.
 */

import { JsonLexer, type JsonToken, MAX_TOKEN_BYTES } from './json-lexer.ts';
import { JsonSyntaxError, parseTokens } from './json-parser.ts';
import type { JsonValue } from './json-value.ts';
import { showBytes } from './modified-utf8.ts';

/** Most nested objects and arrays of one value. */
export const MAX_DEPTH = 1024;
/** Most tokens of one value. */
export const MAX_TOKENS = 65536;
/** Most bytes of one value, whitespace not counted. */
export const MAX_VALUE_BYTES: number = MAX_TOKEN_BYTES;

export type JsonReaderSink = {
  onValue(value: JsonValue): void;
  /** `description` says what was wrong; reading goes on behind it. */
  onError(description: string): void;
};

export type JsonReaderOptions = {
  /** A whole number that is written as none, such as `1e6`, is read as a symbol: it is no integer to QEMU. */
  readonly tellsIntegers?: boolean;
};

export class JsonReader {
  readonly #lexer = new JsonLexer();
  readonly #sink: JsonReaderSink;
  readonly #tellsIntegers: boolean;
  #tokens: JsonToken[] = [];
  #bytes = 0;
  #braces = 0;
  #brackets = 0;

  constructor(sink: JsonReaderSink, { tellsIntegers = false }: JsonReaderOptions = {}) {
    this.#sink = sink;
    this.#tellsIntegers = tellsIntegers;
  }

  feed(chunk: Buffer): void {
    this.#lexer.feed(chunk, token => this.#take(token));
  }

  /** Nothing more comes: half a value is an error. */
  end(): void {
    this.#lexer.end(token => this.#take(token));
    if (this.#tokens.length > 0) this.#finish();
  }

  #take(token: JsonToken): void {
    switch (token.kind) {
      case 'stray':
        this.#reset();
        this.#sink.onError(`JSON parse error, stray '${showBytes(token.text)}'`);
        return;
      case 'too-long':
        this.#reset();
        this.#sink.onError('JSON token size limit exceeded');
        return;
      case '{':
        this.#braces += 1;
        break;
      case '}':
        this.#braces -= 1;
        break;
      case '[':
        this.#brackets += 1;
        break;
      case ']':
        this.#brackets -= 1;
        break;
    }
    this.#tokens.push(token);
    this.#bytes += token.text.length;
    const exceeded = this.#exceededLimit();
    if (exceeded !== null) {
      this.#reset();
      this.#lexer.skipToControl();
      this.#sink.onError(exceeded);
    } else if (this.#braces < 0 || this.#brackets < 0 || (this.#braces === 0 && this.#brackets === 0)) {
      this.#finish();
    }
  }

  #exceededLimit(): string | null {
    if (this.#bytes > MAX_VALUE_BYTES) return 'JSON token size limit exceeded';
    if (this.#tokens.length > MAX_TOKENS) return 'JSON token count limit exceeded';
    if (this.#braces + this.#brackets > MAX_DEPTH) return 'JSON nesting depth limit exceeded';
    return null;
  }

  #finish(): void {
    const tokens = this.#tokens;
    this.#reset();
    let value: JsonValue;
    try {
      value = parseTokens(tokens, this.#tellsIntegers);
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error;
      this.#sink.onError(error.message);
      return;
    }
    this.#sink.onValue(value);
  }

  #reset(): void {
    this.#tokens = [];
    this.#bytes = 0;
    this.#braces = 0;
    this.#brackets = 0;
  }
}
