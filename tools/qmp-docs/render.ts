/** docs/qmp.md as text: commands, drivers and events from their schemas. */

import type { Driver } from '../../src/block/driver.ts';
import { drivers } from '../../src/drivers/index.ts';
import type { Command } from '../../src/monitor/command.ts';
import { documentedCommands } from '../../src/monitor/commands/index.ts';
import type { EventDefinition } from '../../src/monitor/events/event-definition.ts';
import { events } from '../../src/monitor/events/index.ts';
import { driverMembers } from '../../src/monitor/schema/node-description.ts';
import { describeObject, describeType, type MemberDescription } from '../../src/monitor/schema/type-description.ts';
import { argumentTable, innerRows, resultTable, rowsOf, typeText } from './describe.ts';
import { examples } from './examples.ts';
import { INTRODUCTION } from './introduction.ts';
import { TOPICS, topicOf } from './topics.ts';

const MAX_LINE = 120;

export function renderQmpDocumentation(): string {
  const used = examples();
  const parts = [INTRODUCTION, index()];
  for (const [topic, { title, intro }] of TOPICS.entries()) {
    const commands = commandsOf(topic);
    if (commands.length === 0) continue;
    parts.push(`## ${title}\n\n${wrapped(intro)}\n`);
    for (const command of commands) {
      parts.push(renderCommand(command, used.get(command.name)));
      if (command.name === 'blockdev-add') parts.push(...drivers.map(renderDriver));
    }
  }
  parts.push('## Events\n');
  for (const [name, definition] of Object.entries(events)) parts.push(renderEvent(name, definition));
  return `${parts.map(part => part.trimEnd()).join('\n\n')}\n`;
}

function commandsOf(topic: number): readonly Command[] {
  return documentedCommands.filter(({ name }) => topicOf(name) === topic);
}

function index(): string {
  const topics = TOPICS.map(({ title }, topic) => ({ title, names: commandsOf(topic).map(({ name }) => name) }));
  const rows = [...topics, { title: 'Events', names: Object.keys(events) }].filter(({ names }) => names.length > 0);
  const lines = rows.map(({ title, names }) => `| ${link(title)} | ${names.map(name => link(name)).join(' · ')} |`);
  return `## Index\n\n| topic | commands, and events |\n| --- | --- |\n${lines.join('\n')}\n`;
}

/** A link to the heading `title` of this page, by GitHub's rule for its name. */
function link(title: string): string {
  return `[${title}](#${title
    .toLowerCase()
    .replaceAll(/[^a-z0-9_ -]/g, '')
    .replaceAll(' ', '-')})`;
}

function renderCommand(command: Command, example: string | undefined): string {
  const { members, variants, isOpen } = describeObject(command.arguments);
  const parts = [`### ${command.name}`, wrapped(sentence(command.summary))];
  if (command.allowOutOfBand) parts.push('*Out of band.*');
  if (members.length > 0) parts.push(argumentTable(rowsOf(members)));
  for (const { value, members: own } of variants?.cases ?? []) {
    parts.push(`With \`${variants?.tag}\` \`${value}\`:`, argumentTable(rowsOf(own)));
  }
  if (isOpen) parts.push('Further arguments are the options of the driver:');
  parts.push(renderReturns(command));
  if (command.errors.length > 0) parts.push(`Refused:\n\n${command.errors.map(error => `- ${error}`).join('\n')}`);
  if (example !== undefined) parts.push(`\`\`\`\n${example}\n\`\`\``);
  return `${parts.join('\n\n')}\n`;
}

function renderReturns({ returns }: Command): string {
  if (returns === null) return 'Returns `{}`.';
  const type = describeType(returns);
  const rows = innerRows(type, '').map(row => ({ ...row, name: row.name.replace(/^(\[\])?\./, '') }));
  const what = type.kind === 'array' ? `a ${typeText(type)}, each with` : `an ${typeText(type)} with`;
  return rows.length === 0 ? `Returns ${typeText(type)}.` : `Returns ${what}\n\n${resultTable(rows)}`;
}

function renderDriver(driver: Driver): string {
  const { name, aliases = [], summary } = driver;
  const members: readonly MemberDescription[] = driverMembers(driver);
  const also = aliases.length === 0 ? '' : ` Also called ${aliases.map(alias => `\`${alias}\``).join(', ')}.`;
  const parts = [
    `#### Driver ${name}`,
    `${sentence(summary)}${also} [More](../src/drivers/${folderOf(name)}/README.md).`,
  ];
  if (members.length > 0) parts.push(argumentTable(rowsOf(members), 'option'));
  return `${parts.join('\n\n')}\n`;
}

function folderOf(driver: string): string {
  return driver;
}

function renderEvent(name: string, { summary, data, rateLimit }: EventDefinition): string {
  const parts = [`### ${name}`, wrapped(summary), resultTable(rowsOf(describeObject(data).members))];
  if (rateLimit !== undefined) {
    const interval = rateLimit.intervalMs === 1000 ? 'a second' : `in ${rateLimit.intervalMs} ms`;
    const key = rateLimit.key === undefined ? '' : ` for each \`${rateLimit.key}\``;
    const text =
      `At most one ${interval}${key}: of those that come faster the last is sent when the time is over, and those between are ` +
      'dropped.';
    parts.push(wrapped(text));
  }
  return `${parts.join('\n\n')}\n`;
}

/** `text` in lines of at most MAX_LINE characters. */
function wrapped(text: string): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trimStart();
    if (longer.length <= MAX_LINE) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.join('\n');
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
