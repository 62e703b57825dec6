/** `colobus/nbd/server`: an NBD server for nodes of the block layer. */

export type { ReceiveMode } from './accepted-socket.ts';
export { type CloseOptions, NbdExport, type NbdExportOptions } from './nbd-export.ts';
export { type NbdAddress, NbdServer, type NbdServerOptions } from './nbd-server.ts';
