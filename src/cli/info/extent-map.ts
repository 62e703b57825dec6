/** `colobus info --map`: the extents of an export in one metadata context, as nbdinfo shows them. */

import type { MetadataExtent } from '../../nbd/client/metadata-extents.ts';

const BASE_ALLOCATION = ['data', 'hole', 'zero', 'hole,zero'];
const DIRTY_BITMAP = ['clean', 'dirty'];
const ALLOCATION_DEPTH = ['absent', 'local'];
const COLO_BUFFER = ['none', 'original', 'own'];

/** A word for what `context` says with `flags`; null where it is unknown. */
export function describeFlags(context: string, flags: number): string | null {
  if (context === 'base:allocation') return BASE_ALLOCATION[flags] ?? null;
  if (context.startsWith('qemu:dirty-bitmap:')) return DIRTY_BITMAP[flags] ?? null;
  if (context === 'qemu:allocation-depth') return ALLOCATION_DEPTH[flags] ?? `backing depth ${flags}`;
  if (context === 'colobus:buffer') return COLO_BUFFER[flags] ?? null;
  return null;
}

/** The objects of `nbdinfo --map --json`. */
export function mapJson(context: string, extents: readonly MetadataExtent[]): readonly object[] {
  return extents.map(({ offset, length, flags }) => {
    const description = describeFlags(context, flags);
    return { offset, length, type: flags, ...(description === null ? {} : { description }) };
  });
}

/** A line an extent: start, length, type, meaning. */
export function mapText(context: string, extents: readonly MetadataExtent[]): string {
  return extents
    .map(({ offset, length, flags }) => {
      const description = describeFlags(context, flags);
      const columns = [String(offset).padStart(12), String(length).padStart(12), String(flags).padStart(3)];
      return `${columns.join('  ')}${description === null ? '' : `  ${description}`}\n`;
    })
    .join('');
}
