/** docs/nbd-conformance.md says what the tests show, and no duty is left out. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../support/project.ts';
import { conformance } from './conformance.ts';

test('every duty of a server or client has a test or a reason', () => {
  assert.deepEqual(conformance().problems, []);
});

test('docs/nbd-conformance.md is what npm run conformance writes', async () => {
  assert.equal(await readFile(join(projectRoot, 'docs/nbd-conformance.md'), 'utf8'), conformance().markdown);
});
