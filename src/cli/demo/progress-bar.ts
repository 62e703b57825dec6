/** How far the demo is. */

import { bar } from '../bar.ts';
import type { RoundStatus } from './round-status.ts';

const COLUMNS = 24;
/** Where each phase begins in its round, by the time that phases usually take. */
const PHASE_START = { fill: 0, load: 0.08, 'take over': 0.92, verify: 0.95, done: 1 } as const;
const PHASE_END = { fill: 0.08, load: 0.92, 'take over': 0.95, verify: 1, done: 1 } as const;

/** One line: how much of all rounds is done, and what is being done. */
export function progressLine(status: RoundStatus, rounds: number): string {
  const { phase, round, image } = status;
  const inRound = PHASE_START[phase] + status.fraction * (PHASE_END[phase] - PHASE_START[phase]);
  const fraction = (round - 1 + inRound) / rounds;
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  return `  ${bar(fraction, COLUMNS)} ${percent}   round ${round} of ${rounds}, image ${image}: ${phase}`;
}
