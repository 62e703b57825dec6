/** Conversation: asks one server one question after another, each on a connection of its own. */

import {
  CMD,
  infoRequest,
  OPT,
  RawNbdClient,
  type RawRequest,
  type RawTarget,
  request,
  u32,
} from '../../test/support/raw-nbd-client.ts';

/** The export that is probed. */
export type ProbeTarget = { readonly target: RawTarget; readonly exportName: string };

/** What an export says of itself. */
export type ProbedExport = { readonly sizeBytes: bigint; readonly flags: number };

/** Nothing comes for so long: the server hangs or waits for more. */
const PATIENCE_MS = 2500;

const ERRORS: Readonly<Record<number, string>> = {
  0: 'OK',
  1: 'EPERM',
  5: 'EIO',
  12: 'ENOMEM',
  22: 'EINVAL',
  28: 'ENOSPC',
  75: 'EOVERFLOW',
  95: 'ENOTSUP',
  108: 'ESHUTDOWN',
};

const OPTION_ERRORS: Readonly<Record<number, string>> = {
  1: 'ACK',
  2147483649: 'UNSUP',
  2147483650: 'POLICY',
  2147483651: 'INVALID',
  2147483653: 'TLS_REQD',
  2147483654: 'UNKNOWN',
  2147483657: 'TOO_BIG',
};

export type Haggling = { readonly structured?: boolean; readonly contexts?: readonly string[] };

export class Conversation {
  readonly #target: ProbeTarget;

  constructor(target: ProbeTarget) {
    this.#target = target;
  }

  /** What NBD_OPT_GO tells, in a haggling with structured replies. */
  async describe(): Promise<ProbedExport> {
    using client = await this.haggler();
    await client.haggle(OPT.STRUCTURED_REPLY);
    for (const { type, data } of await client.haggle(OPT.GO, infoRequest(this.#target.exportName, 3))) {
      if (type === 3 && data.readUInt16BE(0) === 0) {
        return { sizeBytes: data.readBigUInt64BE(2), flags: data.readUInt16BE(10) };
      }
    }
    throw new Error('The server does not give this export');
  }

  /** A connection whose client flags are sent. */
  async haggler(): Promise<RawNbdClient> {
    const client = await RawNbdClient.connect(this.#target.target);
    client.patienceMs = PATIENCE_MS;
    await client.read(18);
    client.send(u32(3));
    return client;
  }

  /** The name that options have to give. */
  get exportName(): string {
    return this.#target.exportName;
  }

  /** A connection that takes commands. */
  async attach(haggling: Haggling = {}): Promise<RawNbdClient> {
    const client = await RawNbdClient.attach(this.#target.target, this.#target.exportName, haggling);
    client.patienceMs = PATIENCE_MS;
    return client;
  }

  /** Sends one command without structured replies; the answer in a word, and whether the connection lives on. */
  async ask(fields: RawRequest): Promise<string> {
    using client = await this.attach();
    try {
      client.send(request({ cookie: 1, ...fields }));
      const { error } = await client.simpleReply();
      if (error === 0 && fields.type === CMD.READ) await client.read(fields.length ?? 0);
      const verdict = errorName(error);
      return (await this.#isLive(client)) ? verdict : `${verdict}, then disconnect`;
    } catch (failure) {
      return lossOf(failure);
    }
  }

  /** Sends one command with structured replies and the contexts; the types of the chunks of its answer. */
  async askStructured(fields: RawRequest, contexts: readonly string[] = []): Promise<string> {
    try {
      using client = await this.attach({ structured: true, contexts });
      client.send(request({ cookie: 1, ...fields }));
      const first = await client.read(4);
      if (first.readUInt32BE(0) === 0x67446698) return errorName((await client.read(12)).readUInt32BE(0));
      const header = await client.read(16);
      const payload = await client.read(header.readUInt32BE(12));
      const type = header.readUInt16BE(2);
      if (type >= 0x8000) return errorName(payload.readUInt32BE(0));
      return type === 0 ? 'OK (NONE)' : 'OK';
    } catch (failure) {
      return lossOf(failure);
    }
  }

  /** Sends an option in its raw form; the type of the last reply. */
  async askOption(option: number, ...data: readonly Buffer[]): Promise<string> {
    try {
      using client = await this.haggler();
      await client.haggle(OPT.STRUCTURED_REPLY);
      const replies = await client.haggle(option, ...data);
      return optionReplyName(replies.at(-1)?.type ?? 0);
    } catch (failure) {
      return lossOf(failure);
    }
  }

  /** True where a new client still gets the export. */
  async isServing(): Promise<boolean> {
    try {
      using _client = await this.attach();
      return true;
    } catch {
      return false;
    }
  }

  async #isLive(client: RawNbdClient): Promise<boolean> {
    try {
      client.send(request({ type: CMD.READ, cookie: 2, length: 512 }));
      const { error } = await client.simpleReply();
      return error === 0;
    } catch {
      return false;
    }
  }
}

export function errorName(error: number): string {
  return ERRORS[error] ?? `error ${error}`;
}

export function optionReplyName(type: number): string {
  return OPTION_ERRORS[type] ?? `reply 0x${type.toString(16)}`;
}

/** What a read that failed says of the server. */
export function lossOf(failure: unknown): string {
  const message = failure instanceof Error ? failure.message : String(failure);
  return message.startsWith('Waited') ? 'waits' : 'disconnect';
}
