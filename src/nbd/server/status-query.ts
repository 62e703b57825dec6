/** What a BLOCK_STATUS with a payload asks for: how much of the export, and which of the contexts that were selected. */

import { ProtocolError } from '../../base/errors.ts';
import { BLOCK_STATUS_QUERY_BYTES, decodeBlockStatusQuery } from '../protocol/block-status-ext.ts';
import type { ExportContext } from './export-context.ts';

/** A context that the client selected, by the id it was given. */
export type SelectedContext = { readonly id: number; readonly context: ExportContext };

export type StatusQuery = { readonly length: number; readonly contexts: readonly SelectedContext[] };

/** The longest payload that makes sense: one that names every selected context. */
export function maxQueryBytes(selected: readonly SelectedContext[]): number {
  return BLOCK_STATUS_QUERY_BYTES + 4 * selected.length;
}

/** Null where `payload` is no query, or names a context twice or one that was not selected. */
export function statusQueryOf(payload: Buffer, selected: readonly SelectedContext[]): StatusQuery | null {
  try {
    const { length, contextIds } = decodeBlockStatusQuery(payload);
    const contexts = selected.filter(({ id }) => contextIds.includes(id));
    return contexts.length === contextIds.length ? { length, contexts } : null;
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}
