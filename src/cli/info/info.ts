/** What `colobus info` asks a server in each of its modes, and the text it makes of the answers. */

import { ColobusError } from '../../base/errors.ts';
import { reportExport, reportServer } from '../../nbd/client/export-report.ts';
import { NbdClient } from '../../nbd/client/nbd-client.ts';
import type { NbdClientOptions } from '../../nbd/client/open-target.ts';
import { formatNbdUri, type NbdUri } from '../../nbd/uri.ts';
import type { DescribedExport } from './described-export.ts';
import { serverJson } from './export-json.ts';
import { exportText } from './export-text.ts';
import { mapJson, mapText } from './extent-map.ts';
import { probeContent } from './file-content.ts';

const DEFAULT_MAP = 'base:allocation';
/** Scanning where a fragmented image has data can take a server long. */
const REQUEST_TIMEOUT_MS = 30_000;

/** At most one of `list`, `map` and `size`. */
export type InfoOptions = {
  readonly json?: true;
  readonly list?: true;
  /** A metadata context; true for `base:allocation`. */
  readonly map?: string | true;
  readonly size?: true;
  readonly content?: boolean;
};

export type InfoOutput = {
  /** For stdout. */
  readonly text: string;
  /** What could not be told beside it. */
  readonly failure: unknown;
};

/** Throws a ColobusError where the server cannot be reached or does not tell. */
export async function infoOf(uri: NbdUri, options: InfoOptions): Promise<InfoOutput> {
  if (options.list) return await listOf(uri, options);
  if (options.size) return { text: `${(await reportExport(targetOf(uri))).export.sizeBytes}\n`, failure: null };
  if (options.map !== undefined) return { text: await mapOf(uri, options), failure: null };
  const described = await describe(uri, options.content ?? true);
  const text = options.json ? jsonText(serverJson(described.report, [described])) : exportText(described);
  return { text, failure: null };
}

async function mapOf(uri: NbdUri, { map, json }: InfoOptions): Promise<string> {
  const context = typeof map === 'string' ? map : DEFAULT_MAP;
  await using client = await NbdClient.connect({ ...targetOf(uri), contexts: [context] });
  const extents = (await client.metadata(0, client.sizeBytes)).get(context);
  if (extents === undefined) {
    throw new ColobusError(
      `The server has no metadata context '${context}' for this export; see those it has with colobus info`,
    );
  }
  return json ? jsonText(mapJson(context, extents)) : mapText(context, extents);
}

/** All that can be told is; an export that cannot be asked about is a failure beside it. */
async function listOf(uri: NbdUri, options: InfoOptions): Promise<InfoOutput> {
  const server = await reportServer(targetOf(uri));
  const described: DescribedExport[] = [];
  let failure: unknown = null;
  for (const { name, description } of server.exports) {
    try {
      const one = await describe({ ...uri, exportName: name }, options.content ?? false);
      // The description of the list is the one that nbdinfo shows.
      const shown = description === '' ? one.report.export : { ...one.report.export, description };
      described.push({ ...one, report: { ...one.report, export: shown } });
    } catch (error) {
      failure ??= error;
    }
  }
  if (options.json) return { text: jsonText(serverJson(server, described)), failure };
  const none = `${formatNbdUri(uri)}\n  no exports\n`;
  return { text: described.length === 0 ? none : described.map(exportText).join('\n'), failure };
}

async function describe(uri: NbdUri, withContent: boolean): Promise<DescribedExport> {
  const target = targetOf(uri);
  const report = await reportExport(target);
  return { uri, report, content: withContent ? await probeContent(target) : null };
}

function targetOf({ address, exportName, tls, tlsParameters }: NbdUri): NbdClientOptions {
  return {
    address,
    exportName,
    ...(tls ? { tls: tlsParameters ?? {} } : {}),
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  };
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
