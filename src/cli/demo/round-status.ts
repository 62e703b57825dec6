/** RoundStatus: where a round stands, for whoever shows it. */

import type { TakeOverImage } from '../../block/replication-status.ts';

export type Phase = 'fill' | 'load' | 'take over' | 'verify' | 'done';

export type RoundStatus = {
  readonly round: number;
  readonly image: TakeOverImage;
  phase: Phase;
  /** The part of the phase that is done. */
  fraction: number;
  /** Process ids; null before the start. */
  alpha: number | null;
  beta: number | null;
  /** The primary is dead. */
  killed: boolean;
  acknowledged: number;
  writesPerSecond: number;
  checkpoints: number;
  /** The pause of the last checkpoint. */
  pauseMs: number;
  /** Originals in the buffer, and the most there have been. */
  bufferBytes: number;
  peakBufferBytes: number;
  /** Blocks of the view that were compared, and those that were wrong. */
  viewChecked: number;
  viewMismatches: number;
};

export function newRoundStatus(round: number, image: TakeOverImage): RoundStatus {
  return {
    round,
    image,
    phase: 'fill',
    fraction: 0,
    alpha: null,
    beta: null,
    killed: false,
    acknowledged: 0,
    writesPerSecond: 0,
    checkpoints: 0,
    pauseMs: 0,
    bufferBytes: 0,
    peakBufferBytes: 0,
    viewChecked: 0,
    viewMismatches: 0,
  };
}
