/** Puts all questions to a server. */

import { parseNbdUri } from '../../src/nbd/uri.ts';
import { Conversation } from './conversation.ts';
import { QUESTIONS } from './questions.ts';

/** The answer to each question, in the order of QUESTIONS. */
export async function probe(uri: string): Promise<readonly string[]> {
  const { address, exportName } = parseNbdUri(uri);
  const target = address.kind === 'unix' ? address.path : { host: address.host, port: address.port };
  const conversation = new Conversation({ target, exportName });
  const probed = await conversation.describe();
  const answers: string[] = [];
  for (const question of QUESTIONS) answers.push(await question.ask(conversation, probed));
  return answers;
}

/** A Markdown table with a column of answers for each server. */
export function answerTable(servers: ReadonlyMap<string, readonly string[]>): string {
  const rows = QUESTIONS.map(({ title, specification }, index) => [
    title,
    ...[...servers.values()].map(answers => answers[index] as string),
    specification,
  ]);
  const table = [['question', ...servers.keys(), 'specification'], ...rows];
  const lines = table.map(cells => `| ${cells.join(' | ')} |`);
  lines.splice(1, 0, `|${' --- |'.repeat(servers.size + 2)}`);
  return `${lines.join('\n')}\n`;
}
