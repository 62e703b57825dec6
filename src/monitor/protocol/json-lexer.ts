/**
 * JsonLexer: bytes of a monitor connection → JSON tokens, however the bytes are cut.
 *
 * QEMU's dialect: strings in double or single quotes. A byte that cannot go on with the token it comes in is an error,
 * together with what it follows, and starts a recovery: bytes are skipped until a structural or a control character.
 * Bytes 0x00 to 0x1f (other than whitespace between tokens), 0xfe and 0xff fit nowhere, so a client can always end what
 * it has begun with one.
 */

/** Most bytes of one token. */
export const MAX_TOKEN_BYTES: number = 4 * 1024 * 1024;

/** The characters of `text` stand for the bytes that came. */
export type JsonToken =
  | { readonly kind: '{' | '}' | '[' | ']' | ',' | ':'; readonly text: string }
  /** `text` with its quotes and escapes. */
  | { readonly kind: 'string' | 'number' | 'keyword'; readonly text: string }
  /** Bytes that are no token. */
  | { readonly kind: 'stray'; readonly text: string }
  /** A token longer than MAX_TOKEN_BYTES; the rest of its line is skipped. */
  | { readonly kind: 'too-long'; readonly text: '' };

/** 'recovery' and 'skip-to-control' come after a stray byte and after an exceeded limit. */
type LexerState = 'between' | 'recovery' | 'skip-to-control' | 'string' | 'escape' | 'keyword' | NumberState;

/** What of a number has come: `-`, `0`, other digits, `.`, digits behind it, `e`, its sign, its digits. */
type NumberState = 'minus' | 'zero' | 'digits' | 'point' | 'fraction' | 'e' | 'e-sign' | 'e-digits';

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const TAB = 0x09;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const STRUCTURE = new Set(Buffer.from('{}[],:'));
const WHITESPACE = new Set(Buffer.from(' \t\r\n'));
/** In these a token is not complete. */
const INCOMPLETE: ReadonlySet<LexerState> = new Set(['string', 'escape', 'minus', 'point', 'e', 'e-sign']);

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
      const state = this.#state;
      switch (state) {
        case 'between':
        case 'recovery':
        case 'skip-to-control':
          start = this.#begin(byte, at, onToken);
          break;
        case 'string':
          if (byte === this.#quote) {
            this.#state = 'between';
            onToken({ kind: 'string', text: this.#take(chunk, start, at + 1) });
          } else if (byte === BACKSLASH) {
            this.#state = 'escape';
          } else if (isControl(byte)) {
            this.#stray(chunk, start, at, onToken);
          }
          break;
        case 'escape':
          if (isControl(byte)) this.#stray(chunk, start, at, onToken);
          else this.#state = 'string';
          break;
        default: {
          const next = state === 'keyword' ? keywordGoesOn(byte) : numberGoesOn(state, byte);
          if (next === 'error') {
            this.#stray(chunk, start, at, onToken);
          } else if (next === 'end') {
            this.#state = 'between';
            onToken({ kind: state === 'keyword' ? 'keyword' : 'number', text: this.#take(chunk, start, at) });
            start = this.#begin(byte, at, onToken);
          } else {
            this.#state = next;
          }
        }
      }
    }
    this.#carry(chunk, start, onToken);
  }

  /** Calls `onToken` for the token that the end of the input completes, or cuts off. */
  end(onToken: (token: JsonToken) => void): void {
    this.feed(INCOMPLETE.has(this.#state) ? Buffer.of(0) : Buffer.from('\n'), onToken);
  }

  /** Skips everything up to the next control character, such as a newline. */
  skipToControl(): void {
    this.#state = 'skip-to-control';
    this.#carried = [];
    this.#carriedBytes = 0;
  }

  /** Takes a byte outside of a token; returns where the token that it may begin starts. */
  #begin(byte: number, at: number, onToken: (token: JsonToken) => void): number {
    if (this.#state !== 'between') {
      const ends = isControl(byte) ? byte !== TAB : this.#state === 'recovery' && STRUCTURE.has(byte);
      if (!ends) return at;
      this.#state = 'between';
    }
    if (WHITESPACE.has(byte)) return at;
    if (STRUCTURE.has(byte)) {
      const text = String.fromCharCode(byte);
      onToken({ kind: text as '{' | '}' | '[' | ']' | ',' | ':', text });
    } else if (byte === QUOTE || byte === APOSTROPHE) {
      this.#quote = byte;
      this.#state = 'string';
    } else {
      const begun = isSmallLetter(byte) ? 'keyword' : numberBegins(byte);
      this.#state = begun ?? 'recovery';
      if (begun === null) onToken({ kind: 'stray', text: String.fromCharCode(byte) });
    }
    return at;
  }

  /** The token from `start` on is none, and `at` is where that shows. */
  #stray(chunk: Buffer, start: number, at: number, onToken: (token: JsonToken) => void): void {
    this.#state = 'recovery';
    onToken({ kind: 'stray', text: this.#take(chunk, start, at + 1) });
  }

  #take(chunk: Buffer, start: number, end: number): string {
    const tail = chunk.toString('latin1', this.#carriedBytes > 0 ? 0 : start, end);
    const text = this.#carried.map(part => part.toString('latin1')).join('') + tail;
    this.#carried = [];
    this.#carriedBytes = 0;
    return text;
  }

  /** Keeps the bytes of an unfinished token for the next chunk. */
  #carry(chunk: Buffer, start: number, onToken: (token: JsonToken) => void): void {
    if (this.#state === 'between' || this.#state === 'recovery' || this.#state === 'skip-to-control') return;
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

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isSmallLetter(byte: number): boolean {
  return byte >= 0x61 && byte <= 0x7a;
}

function isE(byte: number): boolean {
  return (byte | 0x20) === 0x65;
}

function keywordGoesOn(byte: number): 'keyword' | 'end' {
  return isSmallLetter(byte) ? 'keyword' : 'end';
}

function numberBegins(byte: number): NumberState | null {
  if (byte === MINUS) return 'minus';
  if (byte === ZERO) return 'zero';
  return isDigit(byte) ? 'digits' : null;
}

/** What a number becomes with `byte` behind it. */
function numberGoesOn(state: NumberState, byte: number): NumberState | 'end' | 'error' {
  switch (state) {
    case 'minus':
      return byte === ZERO ? 'zero' : isDigit(byte) ? 'digits' : 'error';
    case 'zero':
      // QEMU takes 0e1 for a 0 and what is behind it.
      return isDigit(byte) ? 'error' : byte === POINT ? 'point' : 'end';
    case 'digits':
      return isDigit(byte) ? 'digits' : byte === POINT ? 'point' : isE(byte) ? 'e' : 'end';
    case 'point':
      return isDigit(byte) ? 'fraction' : 'error';
    case 'fraction':
      return isDigit(byte) ? 'fraction' : isE(byte) ? 'e' : 'end';
    case 'e':
      return isDigit(byte) ? 'e-digits' : byte === MINUS || byte === PLUS ? 'e-sign' : 'error';
    case 'e-sign':
      return isDigit(byte) ? 'e-digits' : 'error';
    case 'e-digits':
      return isDigit(byte) ? 'e-digits' : 'end';
  }
}
