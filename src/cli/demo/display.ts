/** What the demo shows on stderr while it runs: a picture that moves on a terminal, plain lines elsewhere. */

import type { WriteStream } from 'node:tty';
import { formatSize } from '../../base/size.ts';
import { blockGraphPicture } from './block-graph-picture.ts';
import { formatCount } from './format.ts';
import { progressLine } from './progress-bar.ts';
import type { RoundStatus } from './round-status.ts';

const REDRAW_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 2000;

export interface Display extends Disposable {
  /** From now on it is this round that is shown. */
  show(status: RoundStatus): void;
  /** Something happened: a line that stays. */
  note(line: string): void;
}

export function createDisplay(stream: WriteStream, rounds: number): Display {
  return stream.isTTY ? new TerminalDisplay(stream, rounds) : new LineDisplay(stream);
}

/** The notes scroll; below them the block graph and the progress bar are drawn anew again and again. */
class TerminalDisplay implements Display {
  readonly #stream: WriteStream;
  readonly #rounds: number;
  readonly #timer: NodeJS.Timeout;
  #status: RoundStatus | null = null;
  #drawnLines = 0;

  constructor(stream: WriteStream, rounds: number) {
    this.#stream = stream;
    this.#rounds = rounds;
    this.#timer = setInterval(() => this.#draw(''), REDRAW_INTERVAL_MS);
  }

  show(status: RoundStatus): void {
    this.#status = status;
  }

  note(line: string): void {
    this.#draw(`${line}\n`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#draw('');
  }

  /** Replaces the picture by `notes` and a new one, in a single write so that nothing flickers. */
  #draw(notes: string): void {
    if (this.#status === null) return;
    const lines = ['', ...blockGraphPicture(this.#status), '', progressLine(this.#status, this.#rounds)];
    // A line that wrapped would take two rows, and the picture would creep down.
    const columns = Math.max(1, (this.#stream.columns || 80) - 1);
    const picture = lines.map(line => `${line.slice(0, columns)}\n`).join('');
    const home = this.#drawnLines === 0 ? '' : `\x1b[${this.#drawnLines}A`;
    this.#stream.write(`${home}\x1b[0J${notes}${picture}`);
    this.#drawnLines = lines.length;
  }
}

/** The notes, and a line of counts every now and then. */
class LineDisplay implements Display {
  readonly #stream: WriteStream;
  readonly #timer: NodeJS.Timeout;
  #status: RoundStatus | null = null;
  /** The round whose block graph was printed: once, with the counts at the end of its load. */
  #pictured: RoundStatus | null = null;

  constructor(stream: WriteStream) {
    this.#stream = stream;
    this.#timer = setInterval(() => this.#count(), LINE_INTERVAL_MS);
  }

  show(status: RoundStatus): void {
    this.#status = status;
  }

  note(line: string): void {
    this.#print(line);
    const status = this.#status;
    if (!status?.killed || this.#pictured === status) return;
    this.#pictured = status;
    for (const row of ['', ...blockGraphPicture(status), '']) this.#print(row);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #count(): void {
    const status = this.#status;
    if (status?.phase !== 'load') return;
    this.#print(
      `  ${formatCount(status.acknowledged)} writes (${formatCount(status.writesPerSecond)}/s), ` +
        `${status.checkpoints} checkpoints, ${formatSize(status.bufferBytes)} of originals in the buffer, ` +
        `${formatCount(status.viewChecked)} blocks of the view read, ${formatCount(status.viewMismatches)} wrong`,
    );
  }

  #print(line: string): void {
    this.#stream.write(`${line}\n`);
  }
}
