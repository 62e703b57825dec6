/** RoundStatus: where a round stands, for whoever shows it. */

import type { TakeOverImage } from '../../block/replication-status.ts';
import type { Checkpointer } from './checkpointer.ts';
import type { ViewReader } from './view-reader.ts';
import type { WriteLog } from './write-log.ts';

export type Phase = 'fill' | 'load' | 'take over' | 'verify' | 'done';

export class RoundStatus {
  readonly round: number;
  readonly image: TakeOverImage;
  phase: Phase = 'fill';
  /** The part of the phase that is done, as far as that is known. */
  fraction = 0;
  /** Null before the start. */
  alphaPid: number | null = null;
  betaPid: number | null = null;
  acknowledged = 0;
  writesPerSecond = 0;
  checkpoints = 0;
  /** Of the last checkpoint. */
  pauseMs = 0;
  /** Originals in the buffer, and the most there have been. */
  bufferBytes = 0;
  peakBufferBytes = 0;
  /** Blocks of the view that were compared, and those that were wrong. */
  viewChecked = 0;
  viewMismatches = 0;
  #loadStartMs = 0;
  #watchedMs = 0;

  constructor(round: number, image: TakeOverImage) {
    this.round = round;
    this.image = image;
  }

  /** True once the primary is dead. */
  get killed(): boolean {
    return this.phase === 'take over' || this.phase === 'verify' || this.phase === 'done';
  }

  /** True once the standby has the disk. */
  get tookOver(): boolean {
    return this.phase === 'verify' || this.phase === 'done';
  }

  enter(phase: Phase): void {
    this.phase = phase;
    this.fraction = 0;
    if (phase === 'load') this.#loadStartMs = this.#watchedMs = performance.now();
  }

  /** Takes over the counts as they are now, in a load of `seconds`. */
  watch(log: WriteLog, view: ViewReader, checkpointer: Checkpointer, seconds: number): void {
    const nowMs = performance.now();
    if (this.phase === 'load') {
      this.writesPerSecond = ((log.length - this.acknowledged) * 1000) / Math.max(1, nowMs - this.#watchedMs);
      this.fraction = Math.min(1, (nowMs - this.#loadStartMs) / (seconds * 1000));
    }
    this.#watchedMs = nowMs;
    this.acknowledged = log.length;
    this.checkpoints = log.cuts.length;
    this.pauseMs = checkpointer.pausesMs.at(-1) ?? 0;
    this.bufferBytes = checkpointer.bufferBytes;
    this.peakBufferBytes = checkpointer.peakBufferBytes;
    this.viewChecked = view.checked;
    this.viewMismatches = view.mismatches;
  }
}
