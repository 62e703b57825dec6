/** CharacterDevices: the character devices of a daemon by id. */

import { UsageError } from '../base/errors.ts';
import type { CharacterDevice } from './character-device.ts';

const DEVICE_ID = /^[A-Za-z][A-Za-z0-9._-]*$/;
const MAX_DEVICES = 64;

export class CharacterDevices implements AsyncDisposable {
  readonly #devices = new Map<string, CharacterDevice>();

  list(): readonly CharacterDevice[] {
    return [...this.#devices.values()];
  }

  find(id: string): CharacterDevice | undefined {
    return this.#devices.get(id);
  }

  /** Adds the device that `open` makes. Throws UsageError where its id is none or taken, without having called it. */
  async add(id: string, open: () => Promise<CharacterDevice>): Promise<void> {
    if (!DEVICE_ID.test(id)) {
      throw new UsageError("Parameter 'id' expects an identifier; it is letters, digits and -._ behind a letter");
    }
    if (this.#devices.has(id)) throw new UsageError(`Chardev with id '${id}' already exists; choose another id`);
    if (this.#devices.size >= MAX_DEVICES) throw new UsageError(`There are ${MAX_DEVICES} chardevs; leave some out`);
    this.#devices.set(id, await open());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.list().map(device => device[Symbol.asyncDispose]()));
  }
}
