/**
 * `npm run mutants [-- WORD…]`: breaks each rule of the design in the built code, and shows which test notices.
 *
 * With words, only the mutants whose rule or description has one of them. A mutant that no test notices survives; that,
 * a test that fails without any mutant, and a mutant that no longer fits the code, are exit 1.
 */

import type { Mutant } from './mutant.ts';
import { mutants } from './mutants.ts';
import { Sandbox } from './sandbox.ts';

/** Two, because the machines this runs on have as many processors. */
const SANDBOXES = 2;
const TEST_TIMEOUT_MS = 120_000;

async function main(words: readonly string[]): Promise<number> {
  const chosen = mutants.filter(
    ({ rule, breaks }) => words.length === 0 || words.some(word => `${rule} ${breaks}`.includes(word)),
  );
  if (chosen.length === 0) {
    process.stderr.write(`No mutant has ${words.map(word => `'${word}'`).join(' or ')} in its rule or description\n`);
    return 1;
  }
  const tests = [...new Set(chosen.flatMap(mutant => mutant.tests))];
  const broken = await inSandboxes(tests, refuseBroken);
  if (broken.length > 0) {
    process.stdout.write(`${broken.join('\n')}\nThese fail without a mutant, so they prove nothing\n`);
    return 1;
  }
  const survivors = await inSandboxes(chosen, huntOne);
  process.stdout.write(`\n${chosen.length - survivors.length} of ${chosen.length} mutants were caught\n`);
  for (const survivor of survivors) process.stdout.write(`SURVIVED  ${survivor}\n`);
  return survivors.length === 0 ? 0 : 1;
}

/** Gives each item to a free sandbox; returns what `work` had to say against them. */
async function inSandboxes<Item>(
  items: readonly Item[],
  work: (item: Item, sandbox: Sandbox) => Promise<string | null>,
): Promise<string[]> {
  const queue = [...items];
  const complaints: string[] = [];
  const worker = async () => {
    await using sandbox = await Sandbox.create();
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      const complaint = await work(item, sandbox);
      if (complaint !== null) complaints.push(complaint);
    }
  };
  await Promise.all(Array.from({ length: SANDBOXES }, worker));
  return complaints;
}

async function refuseBroken(file: string, sandbox: Sandbox): Promise<string | null> {
  const verdict = await sandbox.runTest(file, TEST_TIMEOUT_MS);
  if (verdict.kind === 'passed') return null;
  return `${file} ${verdict.kind}${verdict.kind === 'failed' ? `: ${verdict.test}` : ''}`;
}

/** Prints who caught the mutant; returns the mutant where nobody did. */
async function huntOne(mutant: Mutant, sandbox: Sandbox): Promise<string | null> {
  const label = `${mutant.rule}  ${mutant.breaks}`;
  return await sandbox.withMutant(mutant, async () => {
    for (const file of mutant.tests) {
      const verdict = await sandbox.runTest(file, TEST_TIMEOUT_MS);
      if (verdict.kind === 'passed') continue;
      const how = verdict.kind === 'failed' ? verdict.test : 'by its timeout';
      process.stdout.write(`caught    ${label}\n          ${file.replace(/\.js$/, '.ts')}: ${how}\n`);
      return null;
    }
    return label;
  });
}

process.exitCode = await main(process.argv.slice(2));
