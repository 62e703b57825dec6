/**
 * What the guest's disk must hold, by what the guest said on its serial line (tools/guest/init).
 *
 * A record is required once it is acknowledged, optional from the line that announces that it is cut off, and gone for
 * good with the line that says so. The one after the last acknowledged may be there: it was stored and not yet said.
 */

import assert from 'node:assert/strict';

export type Expectation = {
  readonly required: ReadonlySet<number>;
  readonly gone: ReadonlySet<number>;
  readonly lastAcknowledged: number;
};

/** By the lines of one guest, in order. Throws where it said that its disk refused something. */
export function expectationOf(lines: readonly string[]): Expectation {
  const required = new Set<number>();
  const gone = new Set<number>();
  let lastAcknowledged = 0;
  for (const line of lines) {
    const [word, rest = ''] = line.split(' ', 2);
    assert.notEqual(word, 'failed', `The guest said: ${line}`);
    const number = Number(rest);
    if (word === 'ack') {
      required.add(number);
      lastAcknowledged = number;
    } else if (word === 'cut') required.delete(number);
    else if (word === 'was-cut') gone.add(number);
  }
  return { required, gone, lastAcknowledged };
}

/** The lines of the command `found` are what `expectation` says, and every file has its records in order. */
export function assertFound(found: readonly string[], { required, gone, lastAcknowledged }: Expectation): void {
  const numbers = new Set<number>();
  const lastOf = new Map<string, number>();
  for (const [word, file, text] of found.map(line => line.split(' '))) {
    if (word !== 'found' || file === undefined) continue;
    const number = Number(text);
    assert.ok(Number.isSafeInteger(number), `${file} holds the line 'record ${text}'`);
    assert.ok(!numbers.has(number), `Record ${number} is there twice`);
    assert.ok(!gone.has(number), `Record ${number} was cut off, and is there`);
    assert.ok(
      number <= lastAcknowledged + 1,
      `Record ${number} is there; the last acknowledged is ${lastAcknowledged}`,
    );
    const before = lastOf.get(file) ?? 0;
    assert.ok(number > before, `${file} holds record ${number} after ${before}`);
    lastOf.set(file, number);
    numbers.add(number);
  }
  const missing = [...required].filter(number => !numbers.has(number));
  assert.deepEqual(missing, [], `${missing.length} of ${required.size} acknowledged records are missing`);
}
