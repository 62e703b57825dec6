/** `colobus/nbd/server`: an NBD server for nodes of the block layer. */

export { loadPskFile, type PskOptions } from '../tls/psk-file.ts';
export type { PskCredentials, TlsCredentials, X509Credentials } from '../tls/tls-credentials.ts';
export { loadX509Directory, type X509Options } from '../tls/x509-directory.ts';
export type { ReceiveMode } from './accepted-socket.ts';
export type { TlsPolicy } from './nbd-connection.ts';
export { type CloseOptions, NbdExport, type NbdExportOptions } from './nbd-export.ts';
export { type NbdAddress, type NbdPlace, NbdServer, type NbdServerOptions } from './nbd-server.ts';
