/** MetadataExtents: the answer to block-status requests in every metadata context that was selected. */

/** A range of an export that is alike in one metadata context. */
export type MetadataExtent = {
  readonly offset: number;
  readonly length: number;
  /** What the context says of it, as the context defines it: for base:allocation 1 is a hole and 2 is zeroes. */
  readonly flags: number;
};

export class MetadataExtents {
  readonly #byContext: ReadonlyMap<string, MetadataExtent[]>;

  /** Takes extents of the contexts named `contexts`. */
  constructor(contexts: readonly string[]) {
    this.#byContext = new Map(contexts.map(name => [name, []]));
  }

  get byContext(): ReadonlyMap<string, readonly MetadataExtent[]> {
    return this.#byContext;
  }

  /** Up to where the extents of all contexts reach. */
  get end(): number {
    const ends = [...this.#byContext.values()].map(extents => endOf(extents));
    return Math.min(...ends);
  }

  /** Makes room for the answer to a request from `offset` on: contexts that were told further end there. */
  continueAt(offset: number): void {
    for (const extents of this.#byContext.values()) {
      for (let last = extents.at(-1); last !== undefined && endOf(extents) > offset; last = extents.at(-1)) {
        extents.pop();
        if (last.offset < offset) extents.push({ ...last, length: offset - last.offset });
      }
    }
  }

  /** Adds the next extent of `context`; as part of the one before where it follows it and is alike. */
  append(context: string, offset: number, length: number, flags: number): void {
    const extents = this.#byContext.get(context);
    if (extents === undefined) return;
    const last = extents.at(-1);
    if (last !== undefined && last.flags === flags && last.offset + last.length === offset) {
      extents[extents.length - 1] = { offset: last.offset, length: last.length + length, flags };
    } else {
      extents.push({ offset, length, flags });
    }
  }
}

function endOf(extents: readonly MetadataExtent[]): number {
  const last = extents.at(-1);
  return last === undefined ? 0 : last.offset + last.length;
}
