/**
 * JsonLexer: bytes of a monitor connection → JSON tokens, however the bytes are cut.
 *
 * QEMU's dialect: strings in double or single quotes, no other whitespace rules than JSON's. A byte that fits nowhere
 * is an error and starts a recovery: bytes are skipped until a structural or a control character. Bytes 0x00 to 0x1f
 * (other than whitespace between tokens), 0xfe and 0xff fit nowhere, so a client can always reset the parser with one.
 */

/** Most bytes of one token. */
export const MAX_TOKEN_BYTES: number = 4 * 1024 * 1024;

export type JsonToken =
  | { readonly kind: '{' | '}' | '[' | ']' | ',' | ':'; readonly text: string }
  /** `text` with its quotes and escapes, as it came. */
  | { readonly kind: 'string' | 'number' | 'keyword'; readonly text: string }
  /** Bytes that are no token. */
  | { readonly kind: 'stray'; readonly text: string }
  /** A token longer than MAX_TOKEN_BYTES; the rest of its line is skipped. */
  | { readonly kind: 'too-long'; readonly text: '' };

/** 'skip-to-structure' and 'skip-to-control' are the recoveries from a stray byte and from an exceeded limit. */
type LexerState = 'between' | 'word' | 'string' | 'escape' | 'skip-to-structure' | 'skip-to-control';

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const STRUCTURE = new Set(Buffer.from('{}[],:'));
const WHITESPACE = new Set(Buffer.from(' \t\r\n'));
const WORD = new Set(Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789+-.E'));
const KEYWORD = /^[a-z]+$/;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

export class JsonLexer {
  #state: LexerState = 'between';
  #quote = QUOTE;
  /** The bytes of the token that began in an earlier chunk. */
  #carried: Buffer[] = [];
  #carriedBytes = 0;

  /** Calls `onToken` for each token that `chunk` completes. */
  feed(chunk: Buffer, onToken: (token: JsonToken) => void): void {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      switch (this.#state) {
        case 'word': {
          if (WORD.has(byte)) break;
          const token = classifyWord(this.#take(chunk, start, at));
          onToken(token);
          this.#state = token.kind === 'stray' ? 'skip-to-structure' : 'between';
          start = this.#begin(byte, at, onToken);
          break;
        }
        case 'string':
          if (byte === this.#quote) {
            onToken({ kind: 'string', text: this.#take(chunk, start, at + 1) });
            this.#state = 'between';
          } else if (byte === BACKSLASH) {
            this.#state = 'escape';
          } else if (isControl(byte)) {
            onToken({ kind: 'stray', text: this.#take(chunk, start, at + 1) });
            this.#state = 'skip-to-structure';
          }
          break;
        case 'escape':
          this.#state = 'string';
          if (isControl(byte)) {
            onToken({ kind: 'stray', text: this.#take(chunk, start, at + 1) });
            this.#state = 'skip-to-structure';
          }
          break;
        default:
          start = this.#begin(byte, at, onToken);
      }
    }
    this.#carry(chunk, start, onToken);
  }

  /** Skips everything up to the next control character, such as a newline. */
  skipToControl(): void {
    this.#state = 'skip-to-control';
    this.#carried = [];
    this.#carriedBytes = 0;
  }

  /** Takes a byte outside of a token; returns where the token that it may begin starts. */
  #begin(byte: number, at: number, onToken: (token: JsonToken) => void): number {
    if (this.#state === 'skip-to-control' || this.#state === 'skip-to-structure') {
      const structural = this.#state === 'skip-to-structure' && STRUCTURE.has(byte);
      if (!structural && (!isControl(byte) || byte === 0x09)) return at;
      this.#state = 'between';
      if (!structural) return at;
    }
    if (WHITESPACE.has(byte)) return at;
    if (STRUCTURE.has(byte)) {
      const text = String.fromCharCode(byte);
      onToken({ kind: text as '{' | '}' | '[' | ']' | ',' | ':', text });
    } else if (byte === QUOTE || byte === APOSTROPHE) {
      this.#quote = byte;
      this.#state = 'string';
    } else if (WORD.has(byte)) {
      this.#state = 'word';
    } else {
      onToken({ kind: 'stray', text: Buffer.of(byte).toString() });
      this.#state = 'skip-to-structure';
    }
    return at;
  }

  #take(chunk: Buffer, start: number, end: number): string {
    const tail = chunk.subarray(this.#carriedBytes > 0 ? 0 : start, end);
    const text = this.#carriedBytes > 0 ? Buffer.concat([...this.#carried, tail]).toString() : tail.toString();
    this.#carried = [];
    this.#carriedBytes = 0;
    return text;
  }

  /** Keeps the bytes of an unfinished token for the next chunk. */
  #carry(chunk: Buffer, start: number, onToken: (token: JsonToken) => void): void {
    if (this.#state !== 'word' && this.#state !== 'string' && this.#state !== 'escape') return;
    const part = Buffer.from(chunk.subarray(this.#carriedBytes > 0 ? 0 : start));
    this.#carried.push(part);
    this.#carriedBytes += part.length;
    if (this.#carriedBytes > MAX_TOKEN_BYTES) {
      this.skipToControl();
      onToken({ kind: 'too-long', text: '' });
    }
  }
}

function isControl(byte: number): boolean {
  return byte < 0x20 || byte >= 0xfe;
}

function classifyWord(text: string): JsonToken {
  if (KEYWORD.test(text)) return { kind: 'keyword', text };
  return { kind: NUMBER.test(text) ? 'number' : 'stray', text };
}
