/** Command: one QMP command. Its arguments are declared once; validation, documentation and the schema derive from that. */

import type * as z from 'zod';
import { UsageError } from '../base/errors.ts';
import { explainOptions, refuseProto } from '../block/explain-options.ts';
import type { MonitoredDaemon } from './monitored-daemon.ts';
import type { JsonValue } from './protocol/json-value.ts';

export type Command = {
  readonly name: string;
  /** One line for the documentation. */
  readonly summary: string;
  readonly arguments: z.ZodType;
  /** What it returns; `null` for the commands that return `{}`. */
  readonly returns: z.ZodType | null;
  /** Refusals worth knowing, a sentence each, for the documentation. */
  readonly errors: readonly string[];
  /** May be sent with exec-oob: answers at once and waits for nothing. */
  readonly allowOutOfBand: boolean;
  /** Checks the arguments and carries the command out; resolves to what is returned. Throws what went wrong. */
  execute(args: JsonValue, daemon: MonitoredDaemon): Promise<unknown>;
};

export type CommandDefinition<Arguments> = {
  readonly name: string;
  readonly summary: string;
  /** Unknown members must be refused, as z.strictObject does. */
  readonly arguments: z.ZodType<Arguments>;
  /** What it returns; left out where that is `{}`. */
  readonly returns?: z.ZodType;
  readonly errors?: readonly string[];
  readonly allowOutOfBand?: boolean;
  /** `undefined` is returned as `{}`. */
  run(args: Arguments, daemon: MonitoredDaemon): unknown;
};

/** A command whose `run` sees checked arguments of the declared type. */
export function defineCommand<Arguments>(definition: CommandDefinition<Arguments>): Command {
  return {
    name: definition.name,
    summary: definition.summary,
    arguments: definition.arguments,
    returns: definition.returns ?? null,
    errors: definition.errors ?? [],
    allowOutOfBand: definition.allowOutOfBand ?? false,
    async execute(args, daemon) {
      refuseProto(args);
      const checked = definition.arguments.safeParse(args, { reportInput: true });
      if (!checked.success) throw new UsageError(explainOptions(checked.error));
      return (await definition.run(checked.data, daemon)) ?? {};
    },
  };
}
