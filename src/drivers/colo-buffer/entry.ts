/**
 * An entry of the COLO buffer as a number: where the content of a chunk is, and whose it is.
 *
 * `content * 2 + own`, where content 0 is zeroes without data, content 1 + i is slot i of memory, and content
 * FIRST_SPILLED + i is slot i of the spill file. *Own* is what the standby wrote, else it is an *original*.
 */

const ZERO_CONTENT = 0;
const FIRST_IN_MEMORY = 1;
const FIRST_SPILLED = 2 ** 29;

/** What a chunk without an entry has in place of one. */
export const NO_ENTRY = -1;

export function zeroEntry(own: boolean): number {
  return ZERO_CONTENT * 2 + Number(own);
}

export function memoryEntry(slot: number, own: boolean): number {
  return (FIRST_IN_MEMORY + slot) * 2 + Number(own);
}

export function spilledEntry(slot: number, own: boolean): number {
  return (FIRST_SPILLED + slot) * 2 + Number(own);
}

export function isOwn(entry: number): boolean {
  return (entry & 1) === 1;
}

export function isZero(entry: number): boolean {
  return entry >>> 1 === ZERO_CONTENT;
}

export function isSpilled(entry: number): boolean {
  return entry >>> 1 >= FIRST_SPILLED;
}

/** The slot of an entry with data: of memory, or of the spill file. */
export function slotOf(entry: number): number {
  const content = entry >>> 1;
  return content >= FIRST_SPILLED ? content - FIRST_SPILLED : content - FIRST_IN_MEMORY;
}
