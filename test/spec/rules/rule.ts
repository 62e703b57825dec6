/**
 * A rule of NBD's proto.md: one MUST, MUST NOT, SHOULD or SHOULD NOT, in our words.
 *
 * A rule's id is its section's and its ordinal among the rules there, in the order of the text. A test shows that a
 * rule is kept by naming the id in its title, as in `'… [abort.1]'`.
 */

export type Level = 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT';
/** Whose duty it is: of a server, a client, either of them, or of somebody who writes neither. */
export type Party = 'server' | 'client' | 'both' | 'nobody here';

export type Rule = {
  readonly id: string;
  readonly level: Level;
  readonly party: Party;
  readonly text: string;
  /** Why no test shows it. */
  readonly untested: string | null;
  /** A test outside of test/spec that shows it: file and a part of its name. */
  readonly shownBy: Evidence | null;
};

export type Evidence = readonly [file: string, name: string];

export type Section = { readonly id: string; readonly title: string; readonly rules: readonly Rule[] };

/** Level, party, text; and, where no test of test/spec carries the id, the reason or the test elsewhere. */
type Row = readonly [Level, 'S' | 'C' | 'B' | 'N', string, (string | Evidence)?];

const PARTIES: Readonly<Record<Row[1], Party>> = { S: 'server', C: 'client', B: 'both', N: 'nobody here' };

export function section(id: string, title: string, ...rows: readonly Row[]): Section {
  const rules = rows.map(([level, party, text, evidence], index): Rule => {
    const untested = typeof evidence === 'string' ? evidence : null;
    const shownBy = typeof evidence === 'object' ? evidence : null;
    return { id: `${id}.${index + 1}`, level, party: PARTIES[party], text, untested, shownBy };
  });
  return { id, title, rules };
}
