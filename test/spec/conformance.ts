/** Brings the rules of the specification together with the tests that show them, and writes docs/nbd-conformance.md. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../support/project.ts';
import { SECTIONS } from './rules/all-rules.ts';
import { REPORTS, type Report } from './rules/reports.ts';
import type { Rule } from './rules/rule.ts';

const FOLDER = 'test/spec';
/** Where tests may name a report. */
const REPORT_FOLDERS = [FOLDER, 'test/interop', 'src/nbd'];
const STRING = /(['"`])((?:(?!\1)[^\n])*)\1/g;
const ID = /\[([a-z-]+\.\d+)\]/g;
/** A string of the source that names at least one rule. */
const TITLE = /(['"`])((?:(?!\1)[^\n])*\[[a-z-]+\.\d+\](?:(?!\1)[^\n])*)\1/g;
/** Where the title of a test in a loop differs from one turn to the next. */
const VARIABLE = /\$\{[^}]*\}/g;

export type Conformance = {
  readonly markdown: string;
  /** What is missing or contradicts itself; empty where all is well. */
  readonly problems: readonly string[];
};

type Proof = { readonly file: string; readonly title: string };

export function conformance(): Conformance {
  const proofs = findProofs();
  const rules = SECTIONS.flatMap(section => section.rules);
  const reports = new Map(REPORTS.map(report => [report, proofsOf(report)]));
  const untried = REPORTS.filter(report => reports.get(report)?.length === 0);
  const problems = [
    ...unknownIds(proofs, rules),
    ...rules.flatMap(rule => problemsOf(rule, proofs)),
    ...untried.map(({ id }) => `No test names ${id}`),
  ];
  return { markdown: markdownOf(rules, proofs) + reportsOf(reports), problems };
}

/** The tests of test/spec that name a rule, by its id. */
function findProofs(): Map<string, Proof[]> {
  const proofs = new Map<string, Proof[]>();
  const folder = join(projectRoot, FOLDER);
  for (const file of readdirSync(folder)
    .filter(name => name.endsWith('.test.ts'))
    .sort()) {
    for (const [, , text = ''] of readFileSync(join(folder, file), 'utf8').matchAll(TITLE)) {
      const title = titleOf(text);
      for (const [, id = ''] of text.matchAll(ID)) proofs.set(id, [...(proofs.get(id) ?? []), { file, title }]);
    }
  }
  return proofs;
}

/** The tests whose title names `report`. */
function proofsOf({ id }: Report): Proof[] {
  return REPORT_FOLDERS.flatMap(folder => {
    const files = readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' });
    const tests = files.filter(name => name.endsWith('.test.ts')).sort();
    return tests.flatMap(file => {
      const strings = readFileSync(join(projectRoot, folder, file), 'utf8').matchAll(STRING);
      return [...strings]
        .filter(([, , text = '']) => text.includes(id))
        .map(([, , text = '']) => ({ file: `${folder}/${file}`, title: titleOf(text) }));
    });
  });
}

/** The title of a test without the rules it shows. */
function titleOf(text: string): string {
  return text.replaceAll(ID, '').replaceAll(VARIABLE, '…').replaceAll('`', '').trim();
}

function unknownIds(proofs: ReadonlyMap<string, readonly Proof[]>, rules: readonly Rule[]): string[] {
  const known = new Set(rules.map(({ id }) => id));
  return [...proofs.keys()].filter(id => !known.has(id)).map(id => `A test names the rule ${id}, which does not exist`);
}

function problemsOf(rule: Rule, proofs: ReadonlyMap<string, readonly Proof[]>): string[] {
  const isTested = proofs.has(rule.id) || rule.shownBy !== null;
  if (rule.party !== 'nobody here' && !isTested && rule.untested === null) {
    return [`${rule.id} (${rule.party} ${rule.level}: ${rule.text}) has neither a test nor a reason`];
  }
  if (isTested && rule.untested !== null) return [`${rule.id} has a test and a reason why it has none`];
  if (rule.shownBy !== null) {
    const [file, name] = rule.shownBy;
    if (!readFileSync(join(projectRoot, file), 'utf8').includes(name)) return [`${rule.id}: ${file} has no '${name}'`];
  }
  return [];
}

function markdownOf(rules: readonly Rule[], proofs: ReadonlyMap<string, readonly Proof[]>): string {
  const lines = [
    '# Conformance to the NBD specification',
    '',
    'Every MUST, MUST NOT, SHOULD and SHOULD NOT of `doc/proto.md` of the NetworkBlockDevice project, with what its mailing',
    'list agreed on for payload sizes, and of its experimental branch `extension-ext-header`; numbered in the order of the',
    'text and told in our words. Generated from the tests by `npm run conformance`.',
    '',
    '| duty of | rules | shown by a test | not tested, with a reason |',
    '| --- | --- | --- | --- |',
    ...['server', 'client', 'both', 'nobody here'].map(party => countsOf(party, rules, proofs)),
    countsOf('all', rules, proofs),
    '',
  ];
  for (const section of SECTIONS) {
    lines.push(`## ${section.title}`, '', '| rule | duty of | what | shown by |', '| --- | --- | --- | --- |');
    for (const rule of section.rules) {
      lines.push(`| ${rule.id} | ${rule.party} | ${rule.level}: ${rule.text} | ${evidenceOf(rule, proofs)} |`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

function reportsOf(reports: ReadonlyMap<Report, readonly Proof[]>): string {
  const rows = [...reports].map(([{ id, program, text }, proofs]) => {
    return `| ${id} | ${program} | ${text} | ${proofs.map(({ file, title }) => `${title} (${file})`).join('; ')} |`;
  });
  const head = ['## Holes of other programs', '', 'Reported of other NBD programs, and tried on this one.', ''];
  return [...head, '| report | of | what | tried by |', '| --- | --- | --- | --- |', ...rows, ''].join('\n');
}

function countsOf(party: string, rules: readonly Rule[], proofs: ReadonlyMap<string, readonly Proof[]>): string {
  const own = rules.filter(rule => party === 'all' || rule.party === party);
  const tested = own.filter(rule => proofs.has(rule.id) || rule.shownBy !== null).length;
  return `| ${party} | ${own.length} | ${tested} | ${own.length - tested} |`;
}

function evidenceOf(rule: Rule, proofs: ReadonlyMap<string, readonly Proof[]>): string {
  if (rule.shownBy !== null) return `${rule.shownBy[1]} (${rule.shownBy[0]})`;
  const shown = proofs.get(rule.id);
  if (shown !== undefined) return shown.map(({ file, title }) => `${title} (${file})`).join('; ');
  return `*${rule.untested ?? 'Not a matter of this implementation'}*`;
}
