/** SessionFeatures: what client and server agreed upon during the handshake. */

import { BASE_ALLOCATION } from '../protocol/constants.ts';

/** How the server frames its answers; each kind includes what the one before it can do. */
export type ReplyFormat = 'simple' | 'structured' | 'extended';

export type SessionFeatures = {
  /** The negotiation that the server speaks. */
  readonly protocol: 'oldstyle' | 'newstyle' | 'newstyle-fixed';
  /** All of the session but its first bytes is encrypted. */
  readonly tls: boolean;
  readonly replies: ReplyFormat;
  /** The metadata contexts that were selected: names by id. */
  readonly contexts: ReadonlyMap<number, string>;
};

/** True where the server tells what is allocated. */
export function tellsAllocation(features: SessionFeatures): boolean {
  for (const name of features.contexts.values()) {
    if (name === BASE_ALLOCATION) return true;
  }
  return false;
}
