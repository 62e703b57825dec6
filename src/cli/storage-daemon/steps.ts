/** The options of `colobus storage-daemon` that do something, each carried out in the order given. */

import { UsageError } from '../../base/errors.ts';
import type { Driver } from '../../block/driver.ts';
import type { ColobusDaemon } from '../../daemon/colobus-daemon.ts';
import type { Command } from '../../monitor/command.ts';
import { blockExportAdd } from '../../monitor/commands/block-export-add.ts';
import { blockdevAdd } from '../../monitor/commands/blockdev-add.ts';
import { nbdServerStart } from '../../monitor/commands/nbd-server-start.ts';
import { objectAdd } from '../../monitor/commands/object-add.ts';
import type { JsonValue } from '../../monitor/protocol/json-value.ts';
import type { SocketAddress } from '../../monitor/socket-address.ts';
import { parseChardev } from './chardev.ts';
import { coerceDefinition, coerceStrings } from './coerce-strings.ts';
import { isJsonText, parseOptionText } from './key-value.ts';

export type StepName = 'object' | 'blockdev' | 'nbd-server' | 'export' | 'chardev' | 'monitor';

export type Step = { readonly name: StepName; readonly text: string };

export class StepRunner {
  readonly #daemon: ColobusDaemon;
  readonly #drivers: readonly Driver[];
  readonly #chardevs = new Map<string, SocketAddress>();

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
        return this.#execute(nbdServerStart, typed(nbdServerStart, step.text, null));
      case 'export':
        return this.#execute(blockExportAdd, typed(blockExportAdd, step.text, 'type'));
      case 'chardev':
        return this.#addChardev(step.text);
      case 'monitor':
        return this.#addMonitor(step.text);
    }
  }

  async #execute(command: Command, args: unknown): Promise<void> {
    await command.execute(args as JsonValue, this.#daemon);
  }

  #definition(text: string): unknown {
    const definition = parseOptionText(text, 'driver');
    return isJsonText(text) ? definition : coerceDefinition(definition, this.#drivers);
  }

  #addChardev(text: string): void {
    const { id, address } = parseChardev(parseOptionText(text, 'backend'));
    if (this.#chardevs.has(id)) throw new UsageError(`Chardev '${id}' exists already; choose another id`);
    this.#chardevs.set(id, address);
  }

  async #addMonitor(text: string): Promise<void> {
    const { chardev, mode, pretty, ...unknown } = parseOptionText(text, 'chardev');
    const [unexpected] = Object.keys(unknown);
    if (unexpected !== undefined) throw new UsageError(`Parameter '${unexpected}' is unexpected`);
    if (chardev === undefined) throw new UsageError("Parameter 'chardev' is missing");
    if (mode !== undefined && mode !== 'control')
      throw new UsageError(`Parameter 'mode' does not accept value '${mode}'`);
    if (pretty !== undefined && pretty !== 'off' && pretty !== false) {
      throw new UsageError("Parameter 'pretty' takes only off: answers are one line each");
    }
    const address = this.#chardevs.get(String(chardev));
    if (address === undefined) throw new UsageError(`chardev "${chardev}" not found; give its --chardev before`);
    this.#chardevs.delete(String(chardev));
    await this.#daemon.addMonitor(address, String(chardev));
  }
}

/** The arguments of `command` that `text` gives, with the types of its schema. */
function typed(command: Command, text: string, impliedKey: string | null): unknown {
  const args = parseOptionText(text, impliedKey);
  return isJsonText(text) ? args : coerceStrings(command.arguments, args);
}
