/** Standard input and output as one stream, for a client that started this program. */

import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { messageOf, UsageError } from '../base/errors.ts';

const STDIN = 0;
const STDOUT = 1;

/** Throws UsageError where they are files or a terminal. */
export function openStdio(): Duplex {
  try {
    if (fstatSync(STDIN).ino === fstatSync(STDOUT).ino) return new Socket({ fd: STDIN, allowHalfOpen: true });
    const readable = new Socket({ fd: STDIN, readable: true, writable: false });
    const writable = new Socket({ fd: STDOUT, readable: false, writable: true });
    return Duplex.from({ readable, writable });
  } catch (cause) {
    throw new UsageError(
      `--stdio needs sockets or pipes as standard input and output: ${messageOf(cause)}; let a client start it`,
      { cause },
    );
  }
}
