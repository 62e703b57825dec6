/** `colobus info --json`: the keys and structure of `nbdinfo --json` (nbdinfo(1), JSON output). */

import type { ServerReport } from '../../nbd/client/export-report.ts';
import { formatNbdUri } from '../../nbd/uri.ts';
import type { DescribedExport } from './described-export.ts';

export type ServerJson = {
  readonly protocol: ServerReport['protocol'];
  readonly TLS: boolean;
  readonly structured: boolean;
  readonly exports: readonly object[];
};

/** The object for `exports` of the server that `session` tells of. */
export function serverJson(
  session: Pick<ServerReport, 'protocol' | 'tls' | 'replies'>,
  exports: readonly DescribedExport[],
): ServerJson {
  return {
    protocol: session.protocol,
    TLS: session.tls,
    structured: session.replies !== 'simple',
    exports: exports.map(exportJson),
  };
}

function exportJson({ uri, report, content }: DescribedExport): object {
  const { export: info, contexts, replies } = report;
  return {
    'export-name': info.name,
    ...(info.description === '' ? {} : { description: info.description }),
    ...(content === null ? {} : { content }),
    uri: formatNbdUri(uri),
    ...(replies === 'simple' ? {} : { contexts }),
    is_rotational: info.isRotational,
    is_read_only: info.readOnly,
    can_cache: info.canCache,
    can_df: info.canDontFragment,
    can_fast_zero: info.canFastZero,
    can_flush: info.canFlush,
    can_fua: info.canFua,
    can_multi_conn: info.canMultiConn,
    can_trim: info.canTrim,
    can_zero: info.canWriteZeroes,
    ...(info.saidBlockSizes
      ? {
          block_size_minimum: info.minBlockBytes,
          block_size_preferred: info.preferredBlockBytes,
          block_size_maximum: info.maxBlockBytes,
        }
      : {}),
    'export-size': info.sizeBytes,
    'export-size-str': exactSize(info.sizeBytes),
  };
}

/** The size in the largest unit in which it is a whole number, such as `10M`, as nbdinfo has it. */
export function exactSize(bytes: number): string {
  const units = ['', 'K', 'M', 'G', 'T', 'P'];
  let value = bytes;
  let unit = 0;
  while (value > 0 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${units[unit]}`;
}
