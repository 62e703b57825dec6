import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { applyMutant, type Mutant } from './mutant.ts';
import { mutants } from './mutants.ts';

const buildRoot = join(import.meta.dirname, '../..');
const EXAMPLE: Mutant = { rule: 'B0', breaks: '', file: 'a.js', search: 'x + 1', replace: '$& - 1', tests: [] };

test('a patch is applied as it is written, where its text occurs once', () => {
  assert.equal(applyMutant(EXAMPLE, 'y = x + 1;'), 'y = $& - 1;');
  assert.throws(() => applyMutant(EXAMPLE, 'y = x + 2;'), /occurs 0 times in a\.js/);
  assert.throws(() => applyMutant(EXAMPLE, 'x + 1 + x + 1'), /occurs 2 times in a\.js/);
});

test('every mutant still fits the code it mutates and names tests that are there', () => {
  for (const mutant of mutants) {
    const source = readFileSync(join(buildRoot, mutant.file), 'utf8');
    assert.notEqual(applyMutant(mutant, source), source);
    for (const file of mutant.tests) assert.ok(existsSync(join(buildRoot, file)), file);
    assert.ok(mutant.tests.length > 0);
  }
});
