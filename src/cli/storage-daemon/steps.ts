/** The options of `colobus storage-daemon` that do something, each carried out in the order given. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { Driver } from '../../block/driver.ts';
import { explainOptions } from '../../block/explain-options.ts';
import type { ColobusDaemon } from '../../daemon/colobus-daemon.ts';
import type { Command } from '../../monitor/command.ts';
import { blockExportAdd } from '../../monitor/commands/block-export-add.ts';
import { blockdevAdd } from '../../monitor/commands/blockdev-add.ts';
import { nbdServerOption } from '../../monitor/commands/nbd-server-start.ts';
import { objectAdd } from '../../monitor/commands/object-add.ts';
import type { JsonValue } from '../../monitor/protocol/json-value.ts';
import { parseChardev } from './chardev.ts';
import { coerceDefinition, coerceStrings } from './coerce-strings.ts';
import { isJsonText, parseOptionText } from './key-value.ts';

const MONITOR = z.strictObject({
  chardev: z.string(),
  mode: z.enum(['control', 'readline']).optional(),
  pretty: z.boolean().optional(),
  /** Accepted as QEMU does: nothing refers to a monitor by it. */
  id: z.string().optional(),
});

export type StepName = 'object' | 'blockdev' | 'nbd-server' | 'export' | 'chardev' | 'monitor';

export type Step = { readonly name: StepName; readonly text: string };

export class StepRunner {
  readonly #daemon: ColobusDaemon;
  readonly #drivers: readonly Driver[];

  constructor(daemon: ColobusDaemon, drivers: readonly Driver[]) {
    this.#daemon = daemon;
    this.#drivers = drivers;
  }

  /** Carries out one option. Throws UsageError, having changed nothing. */
  async run(step: Step): Promise<void> {
    switch (step.name) {
      case 'object':
        return this.#execute(objectAdd, typed(objectAdd, step.text, 'qom-type'));
      case 'blockdev':
        return this.#execute(blockdevAdd, this.#definition(step.text));
      case 'nbd-server':
        return this.#execute(nbdServerOption, typed(nbdServerOption, step.text, null));
      case 'export':
        return this.#execute(blockExportAdd, typed(blockExportAdd, step.text, 'type'));
      case 'chardev':
        return this.#addChardev(step.text);
      case 'monitor':
        this.#addMonitor(step.text);
    }
  }

  async #execute(command: Command, args: unknown): Promise<void> {
    await command.execute(args as JsonValue, this.#daemon);
  }

  #definition(text: string): unknown {
    const definition = parseOptionText(text, 'driver');
    return isJsonText(text) ? definition : coerceDefinition(definition, this.#drivers);
  }

  async #addChardev(text: string): Promise<void> {
    const { id, open } = parseChardev(text);
    await this.#daemon.chardevs.add(id, open);
  }

  #addMonitor(text: string): void {
    const given = parseOptionText(text, 'chardev');
    const options = MONITOR.safeParse(isJsonText(text) ? given : coerceStrings(MONITOR, given), { reportInput: true });
    if (!options.success) throw new UsageError(explainOptions(options.error));
    const { chardev, mode, pretty = false } = options.data;
    if (mode === 'readline') throw new UsageError('Only QMP is supported; leave mode out');
    this.#daemon.addMonitor(chardev, { pretty });
  }
}

/** The arguments of `command` that `text` gives, with the types of its schema. */
function typed(command: Command, text: string, impliedKey: string | null): unknown {
  const args = parseOptionText(text, impliedKey);
  return isJsonText(text) ? args : coerceStrings(command.arguments, args);
}
