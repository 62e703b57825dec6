/** How far a copy is, how fast it goes and how long it will take. */

import { formatSize } from '../../base/size.ts';
import { bar } from '../bar.ts';
import type { CopyPhase } from './copy.ts';

const COLUMNS = 24;
/** The rate is that of the last this many milliseconds. */
const WINDOW_MS = 5000;

type Sample = { readonly atMs: number; readonly doneBytes: number };

export class CopyProgress {
  readonly #nowMs: () => number;
  #phase: CopyPhase = 'copy';
  #doneBytes = 0;
  #totalBytes = 0;
  #samples: Sample[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  update(phase: CopyPhase, doneBytes: number, totalBytes: number): void {
    if (phase !== this.#phase) this.#samples = [];
    this.#phase = phase;
    this.#doneBytes = doneBytes;
    this.#totalBytes = totalBytes;
  }

  /** The line for now, such as `copy ████░░░░  50 %  1 GiB of 2 GiB  512 MiB/s  2 s left`; empty before it begins. */
  line(): string {
    if (this.#totalBytes === 0) return '';
    const fraction = this.#doneBytes / this.#totalBytes;
    const rate = this.#rate();
    const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
    const bytes = `${formatSize(this.#doneBytes)} of ${formatSize(this.#totalBytes)}`;
    const speed = rate === null ? '' : `  ${formatSize(Math.round(rate))}/s`;
    const left = rate === null || rate === 0 ? '' : `  ${formatSeconds(this.#leftBytes / rate)} left`;
    return `${this.#phase.padEnd(6)} ${bar(fraction, COLUMNS)} ${percent}  ${bytes}${speed}${left}`;
  }

  get #leftBytes(): number {
    return this.#totalBytes - this.#doneBytes;
  }

  /** Bytes a second; null until it can be told. */
  #rate(): number | null {
    const now: Sample = { atMs: this.#nowMs(), doneBytes: this.#doneBytes };
    this.#samples.push(now);
    while (this.#samples.length > 2 && now.atMs - (this.#samples[1] as Sample).atMs >= WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0] as Sample;
    const elapsedMs = now.atMs - first.atMs;
    return elapsedMs <= 0 ? null : ((now.doneBytes - first.doneBytes) / elapsedMs) * 1000;
  }
}

/** A time for people: `8 s`, `3:05 min`, `2:03 h`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const [large, small, unit] = whole < 3600 ? [whole, 60, 'min'] : [Math.floor(whole / 60), 60, 'h'];
  return `${Math.floor(large / small)}:${String(large % small).padStart(2, '0')} ${unit}`;
}
