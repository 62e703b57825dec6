/** What a server says about its exports to somebody who does not open one. */

import { systemClock } from '../../base/clock.ts';
import { ColobusError } from '../../base/errors.ts';
import { NBD_CMD_DISC } from '../protocol/constants.ts';
import type { ListedExport } from '../protocol/list-reply.ts';
import { encodeRequest, REQUEST_BYTES } from '../protocol/request.ts';
import type { ExportInfo } from './export-info.ts';
import { negotiateReplies, takeLeave, withHandshake } from './negotiate.ts';
import { connectionOptions, type NbdClientOptions } from './open-target.ts';
import type { SessionFeatures } from './session-features.ts';

export type ExportReport = {
  readonly protocol: SessionFeatures['protocol'];
  readonly tls: boolean;
  readonly replies: SessionFeatures['replies'];
  readonly export: ExportInfo;
  /** The metadata contexts that the server has for the export. */
  readonly contexts: readonly string[];
};

export type ServerReport = Pick<ExportReport, 'protocol' | 'tls' | 'replies'> & {
  readonly exports: readonly ListedExport[];
};

/** The server of `options` and the exports that it tells of. Throws a ColobusError where it tells nobody. */
export async function reportServer(options: NbdClientOptions): Promise<ServerReport> {
  const given = await connectionOptions(options);
  return await withHandshake(given, async (handshake, wire) => {
    if (!handshake.takesOptions) {
      throw new ColobusError('The server is too old to list its exports; ask for one by its name');
    }
    const exports = await handshake.list();
    const replies = await negotiateReplies(handshake, given);
    await takeLeave(handshake, given.clock ?? systemClock);
    wire.destroy();
    return { protocol: handshake.protocol, tls: given.tls !== undefined, replies, exports };
  });
}

/**
 * Asks about the export of `options`; opens and leaves it where the server does not answer otherwise, or answers that
 * the export is empty: nbd-server says so of all that it has not opened.
 */
export async function reportExport(options: NbdClientOptions): Promise<ExportReport> {
  const given = await connectionOptions(options);
  const { exportName = '', contexts } = given;
  return await withHandshake(given, async (handshake, wire) => {
    const replies = await negotiateReplies(handshake, given);
    const names = replies === 'simple' ? [] : (contexts ?? (await handshake.listMetaContexts(exportName)));
    const told = handshake.takesOptions ? await handshake.info(exportName) : null;
    const isTold = told !== null && told.sizeBytes > 0;
    const info = isTold ? told : await handshake.enter(exportName);
    if (isTold) await takeLeave(handshake, given.clock ?? systemClock);
    else wire.send(disconnectRequest());
    wire.destroy();
    return {
      protocol: handshake.protocol,
      tls: given.tls !== undefined,
      replies,
      export: { ...info, name: told?.name ?? info.name },
      contexts: names,
    };
  });
}

function disconnectRequest(): Buffer {
  const request = Buffer.alloc(REQUEST_BYTES);
  encodeRequest(request, 0, 0, NBD_CMD_DISC, 0, 0, 0, 0);
  return request;
}
