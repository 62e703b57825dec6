/**
 * The block graph of the two hosts as text, with the counters of a running round in it.
 *
 *   alpha, primary, pid 4711            beta, standby, pid 4712
 *
 *   writer, 32 at once                  reader of the standby's disk
 *     │  9,871 writes/s                   │  601,216 blocks read, 0 wrong
 *   root  replication                   buffer  colo-buffer, checkpoint 12
 *     ├────────────╮                      │  ██████░░░░░░  21.3 MiB of originals
 *   disk  file   link  nbd ═══════════► disk  file
 */

import { formatSize } from '../../base/size.ts';
import { bar } from '../bar.ts';
import { WRITER_DEPTH } from './block-writer.ts';
import { formatCount, formatMs } from './format.ts';
import type { RoundStatus } from './round-status.ts';

const LEFT_COLUMNS = 36;
const FILL_COLUMNS = 12;

export function blockGraphPicture(status: RoundStatus): readonly string[] {
  const { killed, bufferBytes, peakBufferBytes } = status;
  const fill = peakBufferBytes === 0 ? 0 : bufferBytes / peakBufferBytes;
  const load = killed
    ? `${formatCount(status.acknowledged)} writes`
    : `${formatCount(status.writesPerSecond)} writes/s`;
  const rows: readonly (readonly [alpha: string, beta: string])[] = [
    [
      title('alpha, primary', status.alphaPid, killed ? ', killed' : ''),
      title('beta, standby', status.betaPid, status.tookOver ? `, has ${status.image}` : ''),
    ],
    ['', ''],
    [`writer, ${WRITER_DEPTH} at once`, "reader of the standby's disk"],
    [
      `  │  ${load}`,
      `  │  ${formatCount(status.viewChecked)} blocks read, ${formatCount(status.viewMismatches)} wrong`,
    ],
    [`root  replication, pause ${formatMs(status.pauseMs)}`, `buffer  colo-buffer, checkpoint ${status.checkpoints}`],
    ['  ├────────────╮', `  │  ${bar(fill, FILL_COLUMNS)}  ${formatSize(bufferBytes)} of originals`],
    [`disk  file   link  nbd ${killed ? ' ═ ═ ✗ ═ ═ ►' : '═══════════►'}`, 'disk  file'],
  ];
  return rows.map(([alpha, beta]) => `  ${alpha.padEnd(LEFT_COLUMNS)}${beta}`.trimEnd());
}

function title(host: string, pid: number | null, state: string): string {
  return pid === null ? `${host}, not started` : `${host}, pid ${pid}${state}`;
}
