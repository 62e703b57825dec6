/**
 * Text as QEMU's monitor decodes it: UTF-8 in which C0 80 is the character 0.
 *
 * Sequences of five and six bytes are taken as one wrong character, and code points that Unicode calls noncharacters are
 * wrong too.
 */

/** What a wrong sequence becomes where it is only shown. */
const REPLACEMENT = 0xfffd;
/** The least code point that takes 2, 3, 4, 5, 6 bytes. */
const LEAST = [0x80, 0x800, 0x10000, 0x200000, 0x4000000];

export type DecodedCharacter = {
  /** -1 where the bytes are wrong. */
  readonly codePoint: number;
  /** Where the next character begins. */
  readonly end: number;
};

/** The character at `at` of `text`, whose characters stand for bytes. */
export function decodeCharacter(text: string, at: number): DecodedCharacter {
  const first = text.charCodeAt(at);
  if (first < 0x80) return { codePoint: first, end: at + 1 };
  if (first < 0xc0 || first >= 0xfe) return { codePoint: -1, end: at + 1 };
  const length = Math.clz32(~(first << 24));
  let codePoint = first & (0x7f >> length);
  for (let i = 1; i < length; i += 1) {
    const next = at + i < text.length ? text.charCodeAt(at + i) : 0;
    if ((next & 0xc0) !== 0x80) return { codePoint: -1, end: at + i };
    codePoint = codePoint * 64 + (next & 0x3f);
  }
  const overlong = codePoint < (LEAST[length - 2] ?? 0) && !(codePoint === 0 && length === 2);
  return { codePoint: overlong || !isCharacter(codePoint) ? -1 : codePoint, end: at + length };
}

/** False for surrogates, noncharacters and what is beyond Unicode. */
export function isCharacter(codePoint: number): boolean {
  if (codePoint < 0 || codePoint > 0x10ffff) return false;
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return false;
  return !(codePoint >= 0xfdd0 && codePoint <= 0xfdef) && (codePoint & 0xfffe) !== 0xfffe;
}

/** `text`, whose characters stand for bytes, for people to read: up to the first 0, with wrong bytes replaced. */
export function showBytes(text: string): string {
  const shown: number[] = [];
  for (let at = 0; at < text.length && text.charCodeAt(at) !== 0; ) {
    const { codePoint, end } = decodeCharacter(text, at);
    shown.push(codePoint < 0 ? REPLACEMENT : codePoint);
    at = end;
  }
  return shown.map(codePoint => String.fromCodePoint(codePoint)).join('');
}
