/** RawMonitor: a monitor's client that sends any bytes and shows every message, for what QmpClient would never do. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';

const ANSWER_MS = 10_000;

export type Message = Readonly<Record<string, unknown>>;

export class RawMonitor implements AsyncDisposable {
  readonly socket: Socket;
  readonly messages: Message[] = [];
  readonly #closed: Promise<unknown>;
  #rest = '';
  #onMessage: () => void = () => {};
  #marks = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#closed = once(socket, 'close').catch(() => {});
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\r\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.messages.push(parseMessage(line));
      this.#onMessage();
    });
    socket.on('error', () => {});
  }

  /** Connects and waits for the greeting, which is the first message. */
  static async connect(path: string): Promise<RawMonitor> {
    const monitor = new RawMonitor(connect(path));
    await monitor.until(() => monitor.messages.length > 0);
    return monitor;
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** Sends `bytes` on a line of their own; returns the messages they bring, found by a command sent after them. */
  async answers(bytes: string | Buffer): Promise<readonly Message[]> {
    const before = this.messages.length;
    const mark = `mark-${++this.#marks}`;
    this.send(bytes);
    this.send(`\n{"execute":"query-version","id":"${mark}"}\n`);
    await this.until(() => this.messages.at(-1)?.id === mark);
    return this.messages.slice(before, -1);
  }

  async until(condition: () => boolean): Promise<void> {
    const fulfilled = new Promise<void>(resolve => {
      this.#onMessage = () => {
        if (condition()) resolve();
      };
      this.#onMessage();
    });
    const lost = this.#closed.then((): never => {
      throw new Error('The monitor closed the connection');
    });
    await withDeadline(Promise.race([fulfilled, lost]), ANSWER_MS, systemClock, 'The monitor did not answer');
  }

  /** Resolves when the connection has ended. */
  async closed(): Promise<void> {
    await withDeadline(this.#closed, ANSWER_MS, systemClock, 'The monitor did not close the connection');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.#closed;
  }
}

/** QEMU 7.2 echoes an `id` with a number beyond a double as `inf`, which is no JSON; here it is null. */
function parseMessage(line: string): Message {
  try {
    return JSON.parse(line) as Message;
  } catch (error) {
    const mended = line.replace(/(?<=[:,[] ?)-?inf(?=[,\]}])/g, 'null');
    if (mended === line) throw error;
    return JSON.parse(mended) as Message;
  }
}
