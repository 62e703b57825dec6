import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { drivers } from '../../src/drivers/index.ts';
import { documentedCommands } from '../../src/monitor/commands/index.ts';
import { events } from '../../src/monitor/events/index.ts';
import { driverMembers } from '../../src/monitor/schema/node-description.ts';
import { describeArguments } from '../../src/monitor/schema/qmp-schema.ts';
import { describeObject, describeType } from '../../src/monitor/schema/type-description.ts';
import { projectRoot } from '../../test/support/project.ts';
import { innerRows, rowsOf } from './describe.ts';
import { renderQmpDocumentation } from './render.ts';

const documentation = renderQmpDocumentation();

test('docs/qmp.md is what npm run qmp-docs writes', () => {
  const written = readFileSync(join(projectRoot, 'docs/qmp.md'), 'utf8');
  assert.ok(written === documentation, 'docs/qmp.md is out of date: npm run qmp-docs writes it anew');
});

test('every command and event has a heading, and every link of the page leads somewhere', () => {
  const headings = new Set([...documentation.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title));
  for (const name of [...documentedCommands.map(command => command.name), ...Object.keys(events)]) {
    assert.ok(headings.has(name), name);
  }
  const anchors = new Set([...headings].map(title => title.toLowerCase().replaceAll(' ', '-')));
  for (const [, target = ''] of documentation.matchAll(/\]\(([^)]+)\)/g)) {
    const [path = '', anchor] = target.split('#');
    if (path === '') assert.ok(anchors.has(anchor ?? ''), target);
    else assert.ok(existsSync(join(projectRoot, 'docs', path)), target);
  }
});

test('every argument, every option of a driver, every member of an answer and every datum of an event says what it means', () => {
  const silent: string[] = [];
  for (const command of documentedCommands) {
    const { members, variants } = describeArguments(command);
    const own = command.name.startsWith('blockdev-') ? [] : (variants?.cases ?? []).flatMap(each => each.members);
    const given = rowsOf([...members, ...own]).filter(({ name }) => !name.startsWith('options[].'));
    const returned = command.returns === null ? [] : innerRows(describeType(command.returns), 'returns');
    for (const { name, meaning } of [...given, ...returned]) if (meaning === '') silent.push(`${command.name} ${name}`);
  }
  for (const driver of drivers) {
    for (const { name, meaning } of rowsOf(driverMembers(driver))) {
      if (meaning === '' && !name.endsWith('.driver')) silent.push(`driver ${driver.name} ${name}`);
    }
  }
  for (const [event, { data }] of Object.entries(events)) {
    for (const { name, meaning } of rowsOf(describeObject(data).members))
      if (meaning === '') silent.push(`${event} ${name}`);
  }
  assert.deepEqual(silent, []);
});
