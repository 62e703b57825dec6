/** `colobus/nbd/client`: a client for NBD servers. */

export { ColobusError, ProtocolError, UsageError } from '../../base/errors.ts';
export type { ListedExport } from '../protocol/list-reply.ts';
export { formatNbdUri, type NbdAddress, type NbdUri, parseNbdUri, type TlsParameters } from '../uri.ts';
export type { CallOptions } from './call.ts';
export type { BlockSizes, ExportInfo } from './export-info.ts';
export type { ExportReport } from './export-report.ts';
export type { MetadataExtent } from './metadata-extents.ts';
export { type Extent, NbdClient, type WriteOptions, type WriteZeroesOptions } from './nbd-client.ts';
export type { NbdClientOptions, NbdClientSettings } from './open-target.ts';
export type { ReconnectOptions } from './reconnecting-target.ts';
export type { ReplyFormat, SessionFeatures } from './session-features.ts';
