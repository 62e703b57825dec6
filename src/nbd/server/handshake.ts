/**
 * Handshake: the first phase of a connection, from the greeting to the first command.
 *
 *   client flags ──► options … ──EXPORT_NAME or GO──► session
 *                      ▲  │ └──ABORT, or a broken limit──► end
 *                      │  └──STARTTLS──► TLS ──┐
 *                      └───────────────────────┘
 */

import { ProtocolError } from '../../base/errors.ts';
import {
  NBD_FLAG_C_FIXED_NEWSTYLE,
  NBD_FLAG_C_NO_ZEROES,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  NBD_OPT_EXPORT_NAME,
} from '../protocol/constants.ts';
import { CLIENT_FLAGS_BYTES, decodeClientFlags, encodeGreeting, GREETING_BYTES } from '../protocol/greeting.ts';
import { decodeOptionHeader, OPTION_HEADER_BYTES } from '../protocol/option.ts';
import { blankState, type HandshakeState } from './handshake-state.ts';
import { MAX_OPTION_BYTES, MAX_OPTIONS } from './limits.ts';
import { type AnswerContext, answerOption, type OptionAnswer } from './option-answers.ts';
import type { ReceiveBuffer } from './receive-buffer.ts';

/** What the server says first. */
export function greeting(): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES);
  encodeGreeting(bytes, 0, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
  return bytes;
}

export type HandshakeStep = OptionAnswer['next'];

export class Handshake {
  readonly #context: AnswerContext;
  readonly #send: (reply: Buffer) => void;
  #state: HandshakeState | null = null;
  /** A client that does not speak the fixed newstyle gets no replies to options: it may only name its export. */
  #fixedNewstyle = true;
  #options = 0;
  #optionBytes = 0;

  constructor(context: AnswerContext, send: (reply: Buffer) => void) {
    this.#context = context;
    this.#send = send;
  }

  /**
   * Works off what has arrived. Returns 'continue' to wait for more, 'close' where the client wants to end, 'start-tls'
   * to go on when the connection is encrypted, or the session that was agreed on. Throws ProtocolError where the client
   * must be disconnected.
   */
  consume(receive: ReceiveBuffer): HandshakeStep {
    for (;;) {
      if (this.#state === null) {
        if (receive.available < CLIENT_FLAGS_BYTES) return 'continue';
        this.#state = this.#takeClientFlags(decodeClientFlags(receive.bytes, receive.start));
        receive.take(CLIENT_FLAGS_BYTES);
      }
      const next = this.#takeOption(receive, this.#state);
      if (next === 'incomplete') return 'continue';
      if (next !== 'continue') return next;
    }
  }

  #takeClientFlags(flags: number): HandshakeState {
    if ((flags & ~(NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES)) !== 0) {
      throw new ProtocolError(`The client set unknown handshake flags 0x${flags.toString(16)}`);
    }
    this.#fixedNewstyle = (flags & NBD_FLAG_C_FIXED_NEWSTYLE) !== 0;
    return blankState((flags & NBD_FLAG_C_NO_ZEROES) !== 0, false);
  }

  #takeOption(receive: ReceiveBuffer, state: HandshakeState): 'incomplete' | HandshakeStep {
    if (receive.available < OPTION_HEADER_BYTES) {
      receive.expect(OPTION_HEADER_BYTES);
      return 'incomplete';
    }
    const { option, length } = decodeOptionHeader(receive.bytes, receive.start);
    if (this.#options === MAX_OPTIONS) throw new ProtocolError(`The client sent more than ${MAX_OPTIONS} options`);
    if (this.#optionBytes + length > MAX_OPTION_BYTES) {
      throw new ProtocolError(`The client sent more than ${MAX_OPTION_BYTES} bytes of options`);
    }
    if (!this.#fixedNewstyle && option !== NBD_OPT_EXPORT_NAME) {
      throw new ProtocolError('The client haggles without having agreed to the fixed newstyle');
    }
    const wanted = OPTION_HEADER_BYTES + length;
    if (receive.available < wanted) {
      receive.expect(wanted);
      return 'incomplete';
    }
    this.#options += 1;
    this.#optionBytes += length;
    const data = receive.bytes.subarray(receive.start + OPTION_HEADER_BYTES, receive.start + wanted);
    const answer = answerOption(state, option, data, this.#context);
    receive.take(wanted);
    this.#state = answer.state;
    for (const reply of answer.replies) this.#send(reply);
    return answer.next;
  }
}
