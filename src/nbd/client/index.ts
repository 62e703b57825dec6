/** `colobus/nbd/client`: a client for NBD servers. */

export { ColobusError, ProtocolError, UsageError } from '../../base/errors.ts';
export type { ListedExport } from '../protocol/list-reply.ts';
export { formatNbdUri, type NbdAddress, type NbdUri, parseNbdUri } from '../uri.ts';
export type { BlockSizes, ExportInfo } from './export-info.ts';
export {
  type Extent,
  NbdClient,
  type NbdClientOptions,
  type WriteOptions,
  type WriteZeroesOptions,
} from './nbd-client.ts';
