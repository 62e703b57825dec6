/** The connection that an NBD URI names, for clients that want options beside it. */

import { type NbdAddress, parseNbdUri } from '../../src/nbd/uri.ts';

export function optionsOf(uri: string): { readonly address: NbdAddress; readonly exportName: string } {
  const { address, exportName } = parseNbdUri(uri);
  return { address, exportName };
}
