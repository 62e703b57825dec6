/** The one line that says why a command failed: `colobus: WHAT, WHERE, REMEDY`. */

import { messageOf } from '../base/errors.ts';

/** Ends the program: the message of `cause` happened at `where`. */
export class CliError extends Error {
  override readonly name = 'CliError';
  /** 1: it failed while running. 2: usage, validation or start-up. */
  readonly exitCode: 1 | 2;
  readonly where: string;
  /** What to do where the message itself does not say so after a semicolon. */
  readonly remedy: string;

  constructor(cause: unknown, where: string, remedy: string, exitCode: 1 | 2 = 2) {
    super(messageOf(cause), { cause });
    this.where = where;
    this.remedy = remedy;
    this.exitCode = exitCode;
  }
}

/** The line for anything that was thrown, without its newline. */
export function errorLine(error: unknown): string {
  const [what, remedy] = splitRemedy(messageOf(error));
  const where = error instanceof CliError ? error.where : 'colobus';
  const fallback = error instanceof CliError ? error.remedy : 'report this with --log-level debug';
  return `colobus: ${what}, ${where}, ${remedy ?? fallback}`.replaceAll(/\s*[\r\n]+\s*/g, ' ');
}

/** Messages name the remedy behind their last semicolon. */
function splitRemedy(message: string): readonly [what: string, remedy: string | undefined] {
  const at = message.lastIndexOf('; ');
  return at < 0 ? [message, undefined] : [message.slice(0, at), message.slice(at + 2)];
}
