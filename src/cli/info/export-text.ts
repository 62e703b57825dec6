/** `colobus info` for people: an export at a glance. What a peer wrote is made safe for a terminal. */

import { formatSize } from '../../base/size.ts';
import type { ExportInfo } from '../../nbd/client/export-info.ts';
import { printable } from '../../nbd/client/option-refused.ts';
import { formatNbdUri } from '../../nbd/uri.ts';
import type { DescribedExport } from './described-export.ts';

const LABEL_COLUMNS = 12;

/** Several lines, with a newline behind each. */
export function exportText(described: DescribedExport): string {
  const { uri, report, content } = described;
  const { export: info, contexts } = report;
  const able = abilities(info);
  const rows: (readonly [label: string, value: string])[] = [
    ['export', `"${printable(info.name)}"${info.description === '' ? '' : ` (${printable(info.description)})`}`],
    ['size', `${formatSize(info.sizeBytes)} (${info.sizeBytes} bytes)`],
    ...(content === null ? [] : [['content', printable(content)] as const]),
    ['access', `${info.readOnly ? 'read-only' : 'read and write'}${info.isRotational ? ', rotational' : ''}`],
    [
      'can',
      able
        .filter(([, can]) => can)
        .map(([name]) => name)
        .join(', ') || '–',
    ],
    [
      'cannot',
      able
        .filter(([, can]) => !can)
        .map(([name]) => name)
        .join(', ') || '–',
    ],
    ['block size', blockSizes(info)],
    ['contexts', contexts.map(printable).join(', ') || '–'],
    ['server', `${report.protocol}, ${report.tls ? 'TLS' : 'no TLS'}, ${report.replies} replies`],
  ];
  const lines = rows.map(([label, value]) => `  ${label.padEnd(LABEL_COLUMNS)}${value}\n`);
  return `${formatNbdUri(uri)}\n${lines.join('')}`;
}

function abilities(info: ExportInfo): readonly (readonly [name: string, can: boolean])[] {
  return [
    ['flush', info.canFlush],
    ['fua', info.canFua],
    ['trim', info.canTrim],
    ['zero', info.canWriteZeroes],
    ['fast-zero', info.canFastZero],
    ['cache', info.canCache],
    ['df', info.canDontFragment],
    ['multi-conn', info.canMultiConn],
  ];
}

function blockSizes(info: ExportInfo): string {
  if (!info.saidBlockSizes) return '–';
  const [minimum, preferred, maximum] = [info.minBlockBytes, info.preferredBlockBytes, info.maxBlockBytes];
  return `${formatSize(minimum)} to ${formatSize(maximum)}, best ${formatSize(preferred)}`;
}
