/** JSON laid out for people, as QEMU's monitors do it with pretty=on: four spaces a level, lines that end with CR LF. */

const INDENTATION = '    ';
const NEWLINE = '\r\n';

/** Matches a whole string, or one character that is not white space. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[^\s"]/g;

/** `json`, which is one value, with each member and element on a line of its own. */
export function indentJson(json: string): string {
  let depth = 0;
  let isOpen = false;
  let text = '';
  const breakLine = (): void => {
    text += NEWLINE + INDENTATION.repeat(depth);
  };
  for (const [token] of json.matchAll(TOKEN)) {
    if (token === '}' || token === ']') {
      depth -= 1;
      breakLine();
    } else if (isOpen) {
      breakLine();
    }
    text += token;
    isOpen = token === '{' || token === '[';
    if (isOpen) depth += 1;
    if (token === ',') breakLine();
    if (token === ':') text += ' ';
  }
  return text + NEWLINE;
}
