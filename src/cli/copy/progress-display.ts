/** Shows a copy's progress on stderr while it runs: a line that is drawn anew on a terminal, further lines elsewhere. */

import type { WriteStream } from 'node:tty';
import type { CopyProgress } from './progress-line.ts';

const REDRAW_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 1000;
const CLEAR_LINE = '\r\x1b[K';

export class ProgressDisplay implements Disposable {
  readonly #stream: WriteStream;
  readonly #progress: CopyProgress;
  readonly #timer: NodeJS.Timeout;

  constructor(stream: WriteStream, progress: CopyProgress) {
    this.#stream = stream;
    this.#progress = progress;
    this.#timer = setInterval(() => this.#draw(), stream.isTTY ? REDRAW_INTERVAL_MS : LINE_INTERVAL_MS);
  }

  /** Writes a line that stays. */
  note(line: string): void {
    this.#stream.write(`${this.#stream.isTTY ? CLEAR_LINE : ''}${line}\n`);
  }

  /** Leaves the last state of a terminal's line where nothing else can be read. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#stream.isTTY) this.#stream.write(CLEAR_LINE);
    else this.#draw();
  }

  #draw(): void {
    const line = this.#progress.line();
    if (line === '') return;
    const { isTTY, columns } = this.#stream;
    // A line that wrapped could not be drawn anew.
    this.#stream.write(isTTY ? `${CLEAR_LINE}${line.slice(0, Math.max(1, (columns || 80) - 1))}` : `${line}\n`);
  }
}
