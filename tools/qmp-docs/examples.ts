/** Examples of commands: the first successful use of each in the transcripts that are played to Colobus. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../test/support/project.ts';
import { parseTranscript, type TranscriptStep } from '../../test/support/transcript.ts';

const FOLDER = 'test/scenarios/transcripts';
/** A longer answer says less as an example than the table does. */
const MAX_ANSWER = 400;

/** What was sent and what came back, as two lines, by command. */
export function examples(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const names = readdirSync(join(projectRoot, FOLDER)).filter(name => name.endsWith('.qmp'));
  for (const name of names.sort()) {
    const { steps, subjects } = parseTranscript(name, readFileSync(join(projectRoot, FOLDER, name), 'utf8'));
    if (!subjects.includes('colobus')) continue;
    for (const [index, step] of steps.entries()) {
      const command = commandOf(step);
      const answer = steps[index + 1];
      if (command === null || found.has(command.name) || answer?.kind !== 'expect') continue;
      const text = returnText(answer.pattern);
      if (text !== null) found.set(command.name, `-> ${command.text}\n<- ${text}`);
    }
  }
  return found;
}

/** Only those with arguments: a command without any needs no example of how it is asked. */
function commandOf(step: TranscriptStep): { readonly name: string; readonly text: string } | null {
  if (step.kind !== 'send') return null;
  const text = step.bytes.toString().trim();
  try {
    const sent: unknown = JSON.parse(text);
    if (typeof sent !== 'object' || sent === null || !('execute' in sent)) return null;
    const { id: _, ...message } = sent as { execute: unknown; id?: unknown };
    return { name: String(message.execute), text: JSON.stringify(message) };
  } catch {
    return null;
  }
}

function returnText(pattern: unknown): string | null {
  if (typeof pattern !== 'object' || pattern === null || !('return' in pattern)) return null;
  const text = JSON.stringify({ return: pattern.return });
  return text.includes('"..."') || text.length > MAX_ANSWER ? null : text;
}
