/** Mutant: one small patch to the built code that breaks one rule, and the tests that must notice. */

export type Mutant = {
  /** The rule it breaks: B1 to B8, or a section of the design. */
  readonly rule: string;
  /** What is broken, as a sentence about the mutated code. */
  readonly breaks: string;
  /** The built file, from the root of the build: `src/block/drain.js`. */
  readonly file: string;
  /** Text of the built file that occurs in it exactly once. */
  readonly search: string;
  readonly replace: string;
  /** Built test files of which at least one must fail, in the order they are tried. */
  readonly tests: readonly string[];
};

/** `source` with the mutant's patch. Throws where its text is not there exactly once: the code has moved on. */
export function applyMutant(mutant: Mutant, source: string): string {
  const count = source.split(mutant.search).length - 1;
  if (count !== 1) {
    throw new Error(`${mutant.rule}: the text to replace occurs ${count} times in ${mutant.file}: ${mutant.search}`);
  }
  return source.replace(mutant.search, () => mutant.replace);
}
