/** What `colobus info` knows of one export. */

import type { ExportReport } from '../../nbd/client/export-report.ts';
import type { NbdUri } from '../../nbd/uri.ts';

export type DescribedExport = {
  readonly uri: NbdUri;
  readonly report: ExportReport;
  /** What file(1) takes the first bytes for; null where that was not asked for or cannot be told. */
  readonly content: string | null;
};
