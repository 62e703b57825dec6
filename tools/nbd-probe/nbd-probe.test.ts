/** Colobus under the probe: what it answers where the specification leaves room is a choice, and stays as it is. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../test/support/project.ts';
import { probe } from './probe.ts';
import { QUESTIONS } from './questions.ts';
import { serveColobus } from './servers.ts';

const CHOICES: Readonly<Record<string, string>> = {
  'READ of length 0': 'OK / OK (NONE)',
  'WRITE / WRITE_ZEROES of length 0': 'OK',
  'TRIM of length 0': 'OK',
  'READ of length 0 at the end': 'OK',
  'READ / TRIM / CACHE / BLOCK_STATUS past the end': 'EINVAL',
  'WRITE / WRITE_ZEROES past the end': 'ENOSPC',
  'READ at 2^64 - 512, which wraps': 'EINVAL',
  'unknown commands 8 / 99': 'EINVAL',
  'unknown flag on READ / DF on WRITE / NO_HOLE on WRITE': 'EINVAL',
  'FUA on READ / FLUSH': 'OK',
  'DF without structured replies': 'EINVAL',
  'FLUSH with offset 1': 'OK',
  'READ of 1 byte at offset 1': 'OK',
  'WRITE of 32 MiB': 'OK',
  'WRITE of 32 MiB + 1 / 40 MiB': 'EINVAL',
  'WRITE of 65 MiB': 'disconnect',
  'READ of 32 MiB + 512': 'EINVAL',
  'WRITE_ZEROES / TRIM of 48 MiB': 'OK',
  'BLOCK_STATUS without a context': 'EINVAL',
  'BLOCK_STATUS of 2^32 - 1 bytes': 'OK',
  'wrong request magic': 'disconnect',
  'SET_META_CONTEXT of an unknown context / without a colon': 'ACK',
  'SET_META_CONTEXT that announces 2^28 queries and ends': 'INVALID',
  'GO without data': 'INVALID',
  'GO with a name length of 2^32 - 1': 'INVALID',
  'an option that announces 1 GiB': 'disconnect',
  '100 unknown options': 'disconnect after 32',
  'a second option before the first was answered': 'both answered',
  'transmission flags': '0xded',
  'FAST_ZERO where it is not advertised': 'advertised',
};

test('Colobus answers every question of the probe as it promises, and docs/nbd-peers.md says so', async () => {
  const answers = await serveColobus(probe);
  assert.deepEqual(Object.fromEntries(QUESTIONS.map(({ title }, index) => [title, answers[index]])), CHOICES);

  const documented = await readFile(join(projectRoot, 'docs/nbd-peers.md'), 'utf8');
  const rows = documented.split('\n').filter(line => line.startsWith('| '));
  const column = rows
    .slice(2)
    .map(line => line.split(' | '))
    .map(([title = '', colobus]) => [title.slice(2), colobus]);
  assert.deepEqual(Object.fromEntries(column), CHOICES, 'run `npm run probe -- --peers` and commit the document');
});
