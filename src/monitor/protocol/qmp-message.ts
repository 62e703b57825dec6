/**
 * The messages of QMP, QEMU's monitor protocol: JSON objects, each followed by CR LF, in ASCII.
 *
 * Source: QEMU docs/interop/qmp-spec, and what qemu-storage-daemon 7.2 sends.
 */

import { messageOf } from '../../base/errors.ts';
import type { EventName } from '../events/index.ts';
import { encodeExactly, encodeJson, isJsonObject, type JsonValue } from './json-value.ts';
import { QmpError } from './qmp-error.ts';

/** The version of QEMU whose monitor is spoken; programs read it from the greeting. */
export const QEMU_VERSION = { major: 7, minor: 2, micro: 0 } as const;

export type QmpVersion = { readonly qemu: typeof QEMU_VERSION; readonly package: string };

/** A command as it was asked for. */
export type QmpRequest = {
  readonly name: string;
  readonly arguments: JsonValue;
  /** Echoed in the answer; undefined where the client gave none. */
  readonly id: JsonValue | undefined;
  readonly outOfBand: boolean;
};

export type QmpEvent = { readonly name: EventName; readonly data?: object };

export function encodeGreeting(version: QmpVersion): string {
  return encodeLine({ QMP: { version, capabilities: ['oob'] } });
}

export function encodeReturn(value: unknown, id: JsonValue | undefined): string {
  const echo = id === undefined ? '' : `,"id":${encodeExactly(id)}`;
  return `{"return":${encodeJson(value)}${echo}}\r\n`;
}

export function encodeError(error: unknown, id: JsonValue | undefined): string {
  const errorClass = error instanceof QmpError ? error.errorClass : 'GenericError';
  const echo = id === undefined ? '' : `"id":${encodeExactly(id)},`;
  return `{${echo}"error":${encodeJson({ class: errorClass, desc: messageOf(error) })}}\r\n`;
}

/** The answer to bytes that are no JSON, which nobody threw. */
export function encodeSyntaxError(description: string): string {
  return encodeLine({ error: { class: 'GenericError', desc: description } });
}

/** `wallUs` is when it happened, in microseconds since the Unix epoch. */
export function encodeEvent(event: QmpEvent, wallUs: number): string {
  const timestamp = { seconds: Math.floor(wallUs / 1_000_000), microseconds: wallUs % 1_000_000 };
  return encodeLine({ timestamp, event: event.name, data: event.data });
}

/** The member `id` of anything a client sent, so that an error about it can be matched. */
export function idOf(message: JsonValue): JsonValue | undefined {
  return isJsonObject(message) ? message.id : undefined;
}

/**
 * The request in `message`; throws QmpError in QEMU's words. `exec-oob` is known only where `oobEnabled`. Of several
 * wrong members QEMU names the one its hash table has first; here that is the first unknown one.
 */
export function decodeRequest(message: JsonValue, oobEnabled: boolean): QmpRequest {
  if (!isJsonObject(message)) throw new QmpError('QMP input must be a JSON object');
  for (const member of Object.keys(message)) {
    const known = member === 'execute' || member === 'arguments' || member === 'id';
    if (!known && !(member === 'exec-oob' && oobEnabled)) {
      throw new QmpError(`QMP input member '${member}' is unexpected`);
    }
  }
  const { id, execute, 'exec-oob': outOfBandName, arguments: args = {} } = message;
  for (const [member, name] of Object.entries({ execute, 'exec-oob': outOfBandName })) {
    if (name !== undefined && typeof name !== 'string') {
      throw new QmpError(`QMP input member '${member}' must be a string`);
    }
  }
  if (!isJsonObject(args)) throw new QmpError("QMP input member 'arguments' must be an object");
  if (execute !== undefined && outOfBandName !== undefined) {
    throw new QmpError("QMP input member 'execute' clashes with 'exec-oob'");
  }
  const name = execute ?? outOfBandName;
  if (typeof name !== 'string') throw new QmpError("QMP input lacks member 'execute'");
  return { name, arguments: args, id, outOfBand: outOfBandName !== undefined };
}

function encodeLine(message: object): string {
  return `${encodeJson(message)}\r\n`;
}
