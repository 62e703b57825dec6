/** Whether what a monitor of Colobus sends is what its schemas declare (docs/qmp.md). */

import * as z from 'zod';
import { commands } from '../../src/monitor/commands/index.ts';
import type { EventDefinition } from '../../src/monitor/events/event-definition.ts';
import { events } from '../../src/monitor/events/index.ts';
import type { Message } from './raw-monitor.ts';

const NOTHING = z.strictObject({});

/** Throws where `answer` to the command `sent` returns anything else than is declared. */
export function assertDeclaredAnswer(sent: string, answer: Message): void {
  const command = commands.find(({ name }) => name === commandName(sent));
  if (command === undefined || !('return' in answer)) return;
  const checked = (command.returns ?? NOTHING).safeParse(answer.return);
  if (checked.success) return;
  const problems = z.prettifyError(checked.error);
  throw new Error(`${command.name} returned ${JSON.stringify(answer.return)}, against its schema: ${problems}`);
}

/** Throws where the event has other data than is declared, or is not declared at all. */
export function assertDeclaredEvent({ event, data }: Message): void {
  const definition = (events as Readonly<Record<string, EventDefinition>>)[String(event)];
  if (definition === undefined) throw new Error(`Event ${event} is not declared`);
  const checked = definition.data.safeParse(data);
  if (checked.success) return;
  throw new Error(`${event} has ${JSON.stringify(data)}, against its schema: ${z.prettifyError(checked.error)}`);
}

function commandName(sent: string): unknown {
  try {
    const message: unknown = JSON.parse(sent);
    return typeof message === 'object' && message !== null && 'execute' in message ? message.execute : undefined;
  } catch {
    return undefined;
  }
}
