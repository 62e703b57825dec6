/** The results of a demo: the JSON object of `--json`, and the table for people. */

import { formatSize } from '../../base/size.ts';
import type { TakeOverImage } from '../../block/replication-status.ts';
import { formatCount, formatMs } from './format.ts';
import { isGood, type RoundResult } from './round.ts';

type Figures = {
  /** Nothing lost, every block as it must be, and no read of the view that was not of a checkpoint. */
  readonly ok: boolean;
  readonly acknowledged: number;
  readonly lost: number;
  readonly rolledBack: number;
  readonly checkpoints: number;
  readonly pauseMs: { readonly p50: number; readonly p99: number };
  readonly bytesPreserved: number;
  readonly killToWriteMs: number;
};

/** Counts are sums over the rounds, `pauseMs` is over all checkpoints, `killToWriteMs` is the slower round's. */
export type DemoReport = Figures & {
  readonly rounds: readonly (Figures & { readonly image: TakeOverImage; readonly standbyImage: string | null })[];
  /** The folder of `--keep`. */
  readonly dir: string | null;
};

export function demoReport(results: readonly RoundResult[], dir: string | null): DemoReport {
  return {
    ...figures(results),
    rounds: results.map(result => ({
      image: result.image,
      ...figures([result]),
      standbyImage: dir === null ? null : result.standbyImage,
    })),
    dir,
  };
}

function figures(results: readonly RoundResult[]): Figures {
  const sum = (of: (result: RoundResult) => number): number => results.reduce((total, r) => total + of(r), 0);
  const pausesMs = results.flatMap(result => result.pausesMs);
  return {
    ok: results.every(isGood),
    acknowledged: sum(result => result.log.length),
    lost: sum(result => result.lost),
    rolledBack: sum(result => result.rolledBack),
    checkpoints: sum(result => result.log.cuts.length),
    pauseMs: { p50: percentile(pausesMs, 50), p99: percentile(pausesMs, 99) },
    bytesPreserved: sum(result => result.bytesPreserved),
    killToWriteMs: roundMs(Math.max(...results.map(result => result.killToWriteMs))),
  };
}

/** The smallest of `values` that at least `percent` of them do not exceed; 0 where there are none. */
function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return roundMs(sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0);
}

/** Microseconds are as fine as it means anything. */
function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

const LABEL_COLUMNS = 34;
const VALUE_COLUMNS = 22;

/** The table that closes a demo, and what its last rows mean. */
export function reportTable(results: readonly RoundResult[]): string {
  const row = (label: string, of: (result: RoundResult) => string): string =>
    `  ${label.padEnd(LABEL_COLUMNS)}${results.map(result => of(result).padStart(VALUE_COLUMNS)).join('')}`;
  const line = `  ${'─'.repeat(LABEL_COLUMNS + VALUE_COLUMNS * results.length)}`;
  const pauses = (result: RoundResult): string => {
    const { p50, p99 } = figures([result]).pauseMs;
    return `${formatMs(p50)}, ${formatMs(p99)}`;
  };
  return [
    '',
    row('', ({ round, image }) => `${round}: ${image}`),
    line,
    row('writes acknowledged', ({ log }) => formatCount(log.length)),
    row('checkpoints under load', ({ log }) => formatCount(log.cuts.length)),
    row('pause of a checkpoint, p50 and p99', pauses),
    row('originals preserved', ({ bytesPreserved }) => formatSize(bytesPreserved)),
    row('blocks of the view read', ({ viewChecked }) => formatCount(viewChecked)),
    row('  not as the checkpoint has them', ({ viewMismatches }) => formatCount(viewMismatches)),
    row('from the kill to the first write', ({ killToWriteMs }) => formatMs(killToWriteMs)),
    line,
    row('writes lost', ({ lost }) => formatCount(lost)),
    row('blocks with a wrong content', ({ wrongBlocks }) => formatCount(wrongBlocks)),
    row('writes rolled back', ({ rolledBack }) => formatCount(rolledBack)),
    row('verdict', result => (isGood(result) ? 'good' : 'BAD')),
    '',
    ...EXPLANATION,
    '',
  ].join('\n');
}

const EXPLANATION: readonly string[] = [
  '  Lost: a write that was acknowledged and is not in the image where it must be.',
  '  There must be none.',
  '',
  '  Rolled back: a write that was acknowledged after the last checkpoint and undone',
  "  on purpose. Image 'latest' is the disk with every acknowledged write, right for",
  "  booting the guest anew; nothing is rolled back. Image 'checkpoint' is the disk",
  '  as it was at the last checkpoint, right for a standby VM whose memory is of that',
  '  moment: a disk newer than the memory would destroy its file systems. The writes',
  '  since then have to go, and the guest that made them goes back to the checkpoint',
  '  with its disk.',
];
