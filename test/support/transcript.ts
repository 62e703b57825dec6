/** Transcript: commands to a monitor and the answers they must bring, as test/scenarios/transcripts/README.md has it. */

import { basename } from 'node:path';

/** Programs whose monitor a transcript can be played to. */
export const SUBJECTS = ['colobus', 'qemu-storage-daemon', 'qemu-system-x86_64'] as const;

export type SubjectName = (typeof SUBJECTS)[number];

/** Each client has a monitor of its own. */
export type ClientName = 'a' | 'b';

export type TranscriptStep = { readonly line: number } & (
  | { readonly kind: 'send'; readonly client: ClientName; readonly bytes: Buffer }
  | { readonly kind: 'expect'; readonly client: ClientName; readonly pattern: unknown }
  | { readonly kind: 'expect-end'; readonly client: ClientName }
  | { readonly kind: 'run'; readonly command: string; readonly output: readonly string[] | null }
);

export type Transcript = {
  readonly name: string;
  readonly subjects: readonly SubjectName[];
  /** Options of the daemon beside its monitors; those with the same ones share a daemon. */
  readonly options: readonly string[];
  /** Has a daemon of its own, which it may end. */
  readonly alone: boolean;
  /** The runner negotiates, and takes the greeting, before the first step. */
  readonly negotiate: boolean;
  /** Sparse files made in $DIR before the daemon starts. */
  readonly files: readonly { readonly name: string; readonly size: string }[];
  /** Names of events that need not be listed. */
  readonly ignoredEvents: readonly string[];
  readonly steps: readonly TranscriptStep[];
};

const HEADER = /^(subjects|options|alone|negotiate|file|ignore-events): *(.*)$/;
const STEP = /^(?:(?<client>[ab]) )?(?<arrow>->|=>|<-) ?(?<text>.*)$/;

/** The transcript that `source` spells; throws an error that names the line. */
export function parseTranscript(path: string, source: string): Transcript {
  const headers = new Map<string, string[]>();
  const steps: TranscriptStep[] = [];
  for (const { line, text } of joinedLines(source)) {
    try {
      const header = steps.length === 0 ? HEADER.exec(text) : null;
      if (header !== null) {
        const [, name = '', value = ''] = header;
        headers.set(name, [...(headers.get(name) ?? []), value]);
      } else if (text.startsWith('| ') || text === '|') {
        addOutput(steps, text.slice(2));
      } else {
        steps.push(parseStep(text, line));
      }
    } catch (cause) {
      throw new Error(`${basename(path)}:${line}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  }
  const words = (name: string): readonly string[] =>
    (headers.get(name) ?? []).flatMap(value => value.split(/\s+/).filter(word => word !== ''));
  return {
    name: basename(path, '.qmp'),
    subjects: subjectsOf(path, words('subjects')),
    options: words('options'),
    alone: words('alone').includes('yes'),
    negotiate: !words('negotiate').includes('no'),
    files: (headers.get('file') ?? []).map(value => {
      const [name = '', size = '0'] = value.split(/\s+/);
      return { name, size };
    }),
    ignoredEvents: words('ignore-events'),
    steps,
  };
}

/** The lines that say something; an indented line continues the one before it. */
function joinedLines(source: string): readonly { readonly line: number; readonly text: string }[] {
  const joined: { line: number; text: string }[] = [];
  for (const [index, text] of source.split('\n').entries()) {
    if (text.trim() === '' || text.startsWith('#')) continue;
    const last = joined.at(-1);
    if (/^\s/.test(text) && last !== undefined) last.text += ` ${text.trim()}`;
    else joined.push({ line: index + 1, text: text.trimEnd() });
  }
  return joined;
}

function parseStep(text: string, line: number): TranscriptStep {
  if (text.startsWith('$ ')) return { kind: 'run', line, command: text.slice(2), output: null };
  const { arrow, client = 'a', text: rest = '' } = STEP.exec(text)?.groups ?? {};
  const who = { line, client: client as ClientName };
  switch (arrow) {
    case '->':
      return { kind: 'send', ...who, bytes: Buffer.from(`${rest}\n`) };
    case '=>':
      return { kind: 'send', ...who, bytes: Buffer.from(String(JSON.parse(rest)), 'latin1') };
    case '<-':
      if (rest === 'end') return { kind: 'expect-end', ...who };
      return { kind: 'expect', ...who, pattern: JSON.parse(rest) };
    default:
      throw new Error(`'${text}' is no step; steps begin with ->, =>, <-, $ or |`);
  }
}

function addOutput(steps: TranscriptStep[], text: string): void {
  const last = steps.pop();
  if (last?.kind !== 'run') throw new Error('A line of output belongs behind a command');
  steps.push({ ...last, output: [...(last.output ?? []), text] });
}

function subjectsOf(path: string, words: readonly string[]): readonly SubjectName[] {
  if (words.length === 0) return ['colobus'];
  const unknown = words.find(word => !SUBJECTS.includes(word as SubjectName));
  if (unknown !== undefined) throw new Error(`${basename(path)}: '${unknown}' is none of ${SUBJECTS.join(', ')}`);
  return words as readonly SubjectName[];
}
