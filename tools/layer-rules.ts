/**
 * The rules of the source tree that a compiler does not hold: ARCHITECTURE.md, "Layers".
 *
 * Works on the text as the formatter leaves it, where an import is a statement of its own at the start of a line.
 */

import { dirname, join } from 'node:path/posix';

/** Folders of src; an import points to the same layer or to one further left. */
const LAYERS = ['base', 'os', 'block', 'nbd', 'drivers', 'jobs', 'monitor', 'pair', 'web', 'daemon', 'cli'] as const;
const MAX_LINES = 500;

/** Layers that no other layer imports, `cli` apart, and that alone read flags, environment and signals. */
const PROGRAM_LAYERS: readonly string[] = ['daemon', 'cli'];
const PROCESS_STATE = /\bprocess\.(?:argv|env)\b|\bprocess\.(?:on|once)\(\s*['"]SIG/;

type Import = {
  /** As written, such as `node:fs`, or resolved to a path from the project's root. */
  readonly target: string;
  /** False for an `import type`, which is gone at run time. */
  readonly atRunTime: boolean;
};

/** What `sources` (path from the project's root → text) breaks, one line each, sorted. */
export function layerViolations(sources: ReadonlyMap<string, string>): string[] {
  const imports = new Map([...sources].map(([file, text]) => [file, importsOf(file, text)]));
  const violations: string[] = [];
  for (const [file, text] of sources) {
    const lines = text.split('\n').length - 1;
    if (lines > MAX_LINES) violations.push(`${file}: has ${lines} lines; split what is longer than ${MAX_LINES}`);
    if (readsProcessState(file, text)) {
      violations.push(`${file}: reads process.argv, process.env or a signal; only src/daemon and src/cli do`);
    }
    for (const { target } of imports.get(file) ?? []) {
      const rule = brokenRule(file, target);
      if (rule !== null) violations.push(`${file}: imports ${target}; ${rule}`);
    }
  }
  return [...violations, ...cycles(imports)].sort();
}

function importsOf(file: string, text: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: string | undefined, atRunTime: boolean) => {
    if (specifier === undefined) return;
    found.push({ target: specifier.startsWith('.') ? join(dirname(file), specifier) : specifier, atRunTime });
  };
  for (const [statement, specifier] of text.matchAll(/^(?:import|export)\s(?:[^'"`;=]*?\sfrom\s)?'([^']+)';/gm)) {
    add(specifier, !/^(?:import|export) type\s/.test(statement));
  }
  for (const [, specifier] of text.matchAll(/\bimport\('([^']+)'\)/g)) add(specifier, true);
  return found;
}

/** The rule that this import breaks, or null. */
function brokenRule(file: string, target: string): string | null {
  if (target.endsWith('.test.ts')) return 'nothing imports a test';
  if (isTest(file)) return null;
  if (target === 'koffi') return layerOf(file) === 'os' ? null : 'only src/os imports koffi';
  if (target.startsWith('src/sim/')) return layerOf(file) === 'sim' ? null : 'only tests import src/sim';
  if (!file.startsWith('src/') || !/^(?:src|test|bench|tools)\//.test(target)) return null;
  if (!target.startsWith('src/')) return 'src imports nothing of test, bench or tools';
  return brokenOrder(layerOf(file), layerOf(target));
}

function brokenOrder(from: string, to: string): string | null {
  if (from === 'sim') return null;
  const order: readonly string[] = LAYERS;
  if (!order.includes(from)) return `'${from}' is not a layer`;
  if (!order.includes(to)) return `'${to}' is not a layer`;
  return order.indexOf(to) <= order.indexOf(from) ? null : `layers point one way: ${to} stands right of ${from}`;
}

/** The folder below src, or '' for a file that is not in one. */
function layerOf(file: string): string {
  return /^src\/([^/]+)\//.exec(file)?.[1] ?? '';
}

function isTest(file: string): boolean {
  return file.startsWith('test/') || file.endsWith('.test.ts');
}

function readsProcessState(file: string, text: string): boolean {
  if (!file.startsWith('src/') || isTest(file) || PROGRAM_LAYERS.includes(layerOf(file))) return false;
  return PROCESS_STATE.test(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''));
}

/** A line for each cycle of run-time imports; each file is named in one of them at most. */
function cycles(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.push(`${file}: imports itself, by ${[...path.slice(at), file].join(' → ')}; no cycles`);
    if (at >= 0 || done.has(file)) return;
    path.push(file);
    for (const { target, atRunTime } of imports.get(file) ?? []) {
      if (atRunTime && imports.has(target)) visit(target);
    }
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return found;
}
