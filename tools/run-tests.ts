/**
 * `npm test -- [WORD…]`: runs the built test files, all of them or those whose path contains one of the words.
 *
 * Files named `*.timed.test.ts` measure rates or times that whatever runs beside them would change: they come last, one
 * by one.
 *
 * A line a file as it ends, the failures in full at the end, and the counts last. A test that is skipped or marked as
 * to do fails the run, and so does a file without a test: nothing is left out silently.
 */

import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative, resolve } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';

/** A file that takes longer is killed and counts as failed. */
const FILE_TIMEOUT_MS = 150_000;

const buildRoot = resolve(import.meta.dirname, '..');
const projectRoot = resolve(buildRoot, '..');

type Outcome = { readonly label: string; readonly reason: unknown };
type Tally = { pass: number; fail: number; skipped: number; todo: number; readonly problems: Outcome[] };

async function main(words: readonly string[]): Promise<number> {
  const files = testFiles().filter(file => words.length === 0 || words.some(word => file.includes(word)));
  if (files.length === 0) {
    process.stderr.write(`No test file has ${words.map(word => `'${word}'`).join(' or ')} in its path\n`);
    return 1;
  }
  const startMs = performance.now();
  const tally: Tally = { pass: 0, fail: 0, skipped: 0, todo: 0, problems: [] };
  await runFiles(
    files.filter(file => !isTimed(file)),
    Math.max(2, availableParallelism()),
    tally,
  );
  await runFiles(files.filter(isTimed), 1, tally);
  for (const problem of tally.problems) print(`\nFAIL ${problem.label}\n${describe(problem.reason)}`);
  print(`\n# files ${files.length} in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  print(`# tests ${tally.pass + tally.fail + tally.skipped + tally.todo}`);
  print(`# pass ${tally.pass}\n# fail ${tally.fail}\n# skipped ${tally.skipped}\n# todo ${tally.todo}`);
  return tally.problems.length === 0 ? 0 : 1;
}

/** Paths below the build of all tests; the long ones, which drive whole processes, first. */
function testFiles(): string[] {
  const built = readdirSync(buildRoot, { recursive: true, encoding: 'utf8' });
  const tests = built.filter(file => file.endsWith('.test.js') && hasSource(file)).sort();
  return [...tests.filter(file => file.startsWith('test/')), ...tests.filter(file => !file.startsWith('test/'))];
}

/** False for what an earlier build left behind of a source file that is gone. */
function hasSource(file: string): boolean {
  return existsSync(resolve(projectRoot, file.replace(/\.js$/, '.ts')));
}

function isTimed(file: string): boolean {
  return file.endsWith('.timed.test.js');
}

/** Runs `files`, so many at a time, and adds to `tally` how their tests ended. */
async function runFiles(files: readonly string[], concurrency: number, tally: Tally): Promise<void> {
  // With no file named, the runner would look for some itself.
  if (files.length === 0) return;
  const paths = files.map(file => resolve(buildRoot, file));
  const events = run({ files: paths, concurrency, timeout: FILE_TIMEOUT_MS });
  const output = new Map<string, string>();
  for await (const { type, data } of events) {
    if (type === 'test:complete' && data.name === data.file) reportFile(data.file, data.details);
    else if (type === 'test:pass' || type === 'test:fail') count(tally, data, type === 'test:pass', output);
    else if (type === 'test:stdout' || type === 'test:stderr') keepOutput(output, data.file, data.message);
    else if (type === 'test:diagnostic' && data.file !== undefined)
      print(`  ${relativeFile(data.file)}: ${data.message}`);
  }
}

function reportFile(file: string, details: { readonly duration_ms: number; readonly error?: unknown }): void {
  const verdict = details.error === undefined ? 'ok  ' : 'FAIL';
  print(`${verdict} ${String(Math.round(details.duration_ms)).padStart(6)} ms  ${relativeFile(file)}`);
}

type Ended = {
  readonly name: string;
  readonly file?: string | undefined;
  readonly skip?: string | boolean | undefined;
  readonly todo?: string | boolean | undefined;
  readonly details: { readonly type?: string | undefined; readonly error?: unknown };
};

function count(tally: Tally, ended: Ended, passed: boolean, output: ReadonlyMap<string, string>): void {
  if (ended.details.type === 'suite') return;
  const { problems } = tally;
  const isFile = ended.name === ended.file;
  const label = isFile ? relativeFile(ended.name) : `${relativeFile(ended.file ?? '')}: ${ended.name}`;
  if (!passed) {
    tally.fail += 1;
    const said = isFile ? (output.get(ended.name) ?? '') : '';
    problems.push({ label, reason: said === '' ? ended.details.error : said });
  } else if (isFile) {
    problems.push({ label, reason: 'This file contains no test' });
  } else if (ended.skip !== undefined && ended.skip !== false) {
    tally.skipped += 1;
    problems.push({ label, reason: 'Skipped; a test that cannot run fails and says what it lacks' });
  } else if (ended.todo !== undefined && ended.todo !== false) {
    tally.todo += 1;
    problems.push({ label, reason: 'Marked as to do; write the test or take it out' });
  } else {
    tally.pass += 1;
  }
}

const MAX_KEPT_OUTPUT = 20_000;

/** The end of what a file's process printed, for the case that it dies without telling which test failed. */
function keepOutput(output: Map<string, string>, file: string | undefined, text: string): void {
  if (file !== undefined) output.set(file, `${output.get(file) ?? ''}${text}`.slice(-MAX_KEPT_OUTPUT));
}

function describe(reason: unknown): string {
  if (typeof reason === 'string') return reason;
  const cause = reason instanceof Error && reason.cause !== undefined ? reason.cause : reason;
  return inspect(cause, { depth: 5 });
}

function relativeFile(file: string): string {
  return relative(buildRoot, file).replace(/\.js$/, '.ts');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main(process.argv.slice(2));
