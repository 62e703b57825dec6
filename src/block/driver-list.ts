/** DriverList: the drivers of a graph by name and alias, and what they make of the definitions of nodes. */

import { UsageError } from '../base/errors.ts';
import type { Driver, NodeDefinition } from './driver.ts';
import { explainOptions } from './explain-options.ts';
import { type CommonOptions, commonOptions, isCommonOption } from './node-options.ts';

export class DriverList {
  readonly #byName = new Map<string, Driver>();

  constructor(drivers: readonly Driver[]) {
    for (const driver of drivers) {
      for (const name of [driver.name, ...(driver.aliases ?? [])]) this.#byName.set(name, driver);
    }
  }

  /** The driver called `name`; throws UsageError where there is none. */
  get(name: string): Driver {
    const driver = this.#byName.get(name);
    if (driver !== undefined) return driver;
    throw new UsageError(
      `Parameter 'driver' does not accept value '${name}'; known are ${[...this.#byName.keys()].join(', ')}`,
    );
  }

  /** Throws UsageError where the options of `definition`, or of one in it, are wrong: before anything is opened. */
  check(definition: NodeDefinition, path: readonly PropertyKey[] = []): void {
    this.parse(this.get(definition.driver), definition, path);
    const visit = (value: unknown, at: readonly PropertyKey[]): void => {
      if (Array.isArray(value)) {
        for (const [index, element] of value.entries()) visit(element, [...at, index]);
      } else if (isDefinition(value)) {
        this.check(value, at);
      }
    };
    for (const [name, value] of Object.entries(definition)) visit(value, [...path, name]);
  }

  /** The options of `definition` that every node has, and those of its driver. Throws UsageError where one is wrong. */
  parse<Options>(
    driver: Driver<Options>,
    definition: NodeDefinition,
    path: readonly PropertyKey[] = [],
  ): { common: CommonOptions; own: Options } {
    const isOwn = (key: string): boolean => !isCommonOption(key) || driver.sharedOptions?.includes(key) === true;
    const split = (belongs: (key: string) => boolean): object =>
      Object.fromEntries(Object.entries(definition).filter(([key]) => belongs(key)));
    const common = commonOptions.safeParse(split(isCommonOption), { reportInput: true });
    if (!common.success) throw new UsageError(explainOptions(common.error, path));
    const own = driver.options.safeParse(split(isOwn), { reportInput: true });
    if (!own.success) throw new UsageError(explainOptions(own.error, path));
    return { common: common.data, own: own.data };
  }
}

function isDefinition(value: unknown): value is NodeDefinition {
  return typeof value === 'object' && value !== null && 'driver' in value && typeof value.driver === 'string';
}
