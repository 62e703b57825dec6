/** OptionRefused: the server ended an option with one of its NBD_REP_ERR_*. */

import { ENOENT, ENOTSUP, EPERM, ESHUTDOWN } from '../../base/errno.ts';
import { ColobusError } from '../../base/errors.ts';
import {
  NBD_REP_ERR_POLICY,
  NBD_REP_ERR_SHUTDOWN,
  NBD_REP_ERR_TLS_REQD,
  NBD_REP_ERR_UNKNOWN,
  NBD_REP_ERR_UNSUP,
} from '../protocol/constants.ts';
import { decodeString } from '../protocol/protocol-string.ts';

const MAX_ERROR_TEXT = 200;

export class OptionRefused extends ColobusError {
  /** The NBD_REP_ERR_* of the server. */
  readonly type: number;

  private constructor(type: number, message: string, errno: number) {
    super(message, { errno });
    this.type = type;
  }

  /** The error for a reply of `type` that carries `text`; `what` was asked for. Throws ProtocolError where it is none. */
  static for(type: number, text: Buffer, what: string): OptionRefused {
    const readable = printable(decodeString(text, 0, text.length, 'text of an error'));
    const said = readable === '' ? '' : ` (it says: ${readable})`;
    const [message, errno, remedy = ''] = explain(type, what);
    return new OptionRefused(type, `${message}${said}${remedy}`, errno);
  }
}

function explain(type: number, what: string): readonly [message: string, errno: number, remedy?: string] {
  switch (type) {
    case NBD_REP_ERR_UNKNOWN:
      return [`The server has no ${what}`, ENOENT, '; check the name'];
    case NBD_REP_ERR_TLS_REQD:
      return [`The server gives ${what} over TLS only`, EPERM, '; use nbds:// or nbds+unix:// with its credentials'];
    case NBD_REP_ERR_POLICY:
      return [`The server's policy forbids ${what}`, EPERM];
    case NBD_REP_ERR_UNSUP:
      return [`The server does not support asking for ${what}`, ENOTSUP];
    case NBD_REP_ERR_SHUTDOWN:
      return [`The server is shutting down and refused ${what}`, ESHUTDOWN, '; connect again later'];
    default:
      return [`The server refused ${what} with error 0x${type.toString(16)}`, EPERM];
  }
}

/** A peer's text, made safe for a terminal or log. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, ' ').trim().slice(0, MAX_ERROR_TEXT);
}
