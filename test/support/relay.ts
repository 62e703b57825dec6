/** Relay: a link between two daemons that a test can cut in the middle of a message, or make longer. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type RelayOptions = {
  /** What the clients send arrives so much later, or a millisecond more: added to every round trip. */
  readonly delayMs?: number;
};

export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #delayMs: number;
  readonly #sockets = new Set<Socket>();
  /** Bytes that may still pass from the clients' side; then the link is cut. */
  #allowance = Number.POSITIVE_INFINITY;

  private constructor(path: string, targetPath: string, { delayMs = 0 }: RelayOptions) {
    this.#delayMs = delayMs;
    this.#server = createServer(client => this.#join(client, connect(targetPath)));
    this.#server.listen(path);
  }

  /** Listens at `path` and connects whoever comes to `targetPath`. */
  static async listen(path: string, targetPath: string, options: RelayOptions = {}): Promise<Relay> {
    const relay = new Relay(path, targetPath, options);
    await once(relay.#server, 'listening');
    return relay;
  }

  /** Cuts all connections when `bytes` more have passed from the clients' side. */
  cutAfter(bytes: number): void {
    this.#allowance = bytes;
  }

  /** Lets new connections pass whole. */
  mend(): void {
    this.#allowance = Number.POSITIVE_INFINITY;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, target: Socket): void {
    this.#forward(client, target, chunk => this.#pass(chunk), this.#delayMs);
    this.#forward(target, client, chunk => chunk, 0);
  }

  #forward(from: Socket, to: Socket, pass: (chunk: Buffer) => Buffer, delayMs: number): void {
    this.#sockets.add(from);
    const send = (chunk: Buffer): void => {
      const passed = pass(chunk);
      if (to.writable && passed.length > 0 && !to.write(passed) && !from.isPaused()) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      if (this.#allowance === 0) this.#cut();
    };
    // Timers of the same length end in the order they began.
    from.on('data', delayMs === 0 ? send : chunk => setTimeout(send, delayMs, chunk));
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.end();
    });
  }

  #pass(chunk: Buffer): Buffer {
    const passed = chunk.subarray(0, Math.min(chunk.length, this.#allowance));
    this.#allowance -= passed.length;
    return passed;
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroySoon();
  }
}
