import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandAbbreviations } from './abbreviations.ts';

const OPTIONS = [
  { long: '--pidfile', takesValue: true },
  { long: '--export', takesValue: true },
  { long: '--extra', takesValue: false },
  { long: '--extras', takesValue: false },
];

test('an option may be cut short as long as it is told from the others', () => {
  for (const [given, expanded] of [
    [
      ['--pid', 'x'],
      ['--pidfile', 'x'],
    ],
    [['--p=x'], ['--pidfile=x']],
    [
      ['--exp', '--pid'],
      ['--export', '--pid'],
    ],
    [
      ['--export', '--pid', '--pid', 'x'],
      ['--export', '--pid', '--pidfile', 'x'],
    ],
    [
      ['--ex', 'x'],
      ['--ex', 'x'],
    ],
    [['--extra'], ['--extra']],
    [
      ['--sighs', '-p', 'pid'],
      ['--sighs', '-p', 'pid'],
    ],
    [
      ['--', '--pid'],
      ['--', '--pid'],
    ],
    [['--pid'], ['--pidfile']],
  ] as const) {
    assert.deepEqual(expandAbbreviations(given, OPTIONS), expanded);
  }
});
