/** Relay: a link between two daemons that a test can cut in the middle of a message. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes that may still pass from the clients' side; then the link is cut. */
  #allowance = Number.POSITIVE_INFINITY;

  private constructor(path: string, targetPath: string) {
    this.#server = createServer(client => this.#join(client, connect(targetPath)));
    this.#server.listen(path);
  }

  /** Listens at `path` and connects whoever comes to `targetPath`. */
  static async listen(path: string, targetPath: string): Promise<Relay> {
    const relay = new Relay(path, targetPath);
    await once(relay.#server, 'listening');
    return relay;
  }

  /** Cuts all connections when `bytes` more have passed from the clients' side. */
  cutAfter(bytes: number): void {
    this.#allowance = bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, target: Socket): void {
    this.#forward(client, target, chunk => this.#pass(chunk));
    this.#forward(target, client, chunk => chunk);
  }

  #forward(from: Socket, to: Socket, pass: (chunk: Buffer) => Buffer): void {
    this.#sockets.add(from);
    from.on('data', chunk => {
      const passed = pass(chunk);
      if (to.writable && passed.length > 0 && !to.write(passed)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      if (this.#allowance === 0) this.#cut();
    });
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
