/** ReplicatedModel: what both images of a replicated disk must hold, byte for byte, while random writes go to both sides. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { NbdClient } from '../../src/nbd/client/index.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Writes in flight at once, each in a part of the disk of its own. */
const AT_ONCE = 8;
const MAX_WRITE_BYTES = 20_000;

export class ReplicatedModel {
  /** Every write of the primary. */
  readonly latest: Buffer;
  /** The last checkpoint and the standby's own writes since. */
  readonly view: Buffer;
  readonly #random: SeededRandom;

  /** A disk of zeroes. */
  constructor(sizeBytes: number, random: SeededRandom) {
    this.latest = Buffer.alloc(sizeBytes);
    this.view = Buffer.alloc(sizeBytes);
    this.#random = random;
  }

  /** Random writes of the primary's guest. */
  async writePrimary(client: NbdClient, rounds = 4): Promise<void> {
    await this.#write(client, this.latest, rounds);
  }

  /** Random writes of the standby. */
  async writeStandby(client: NbdClient, rounds = 2): Promise<void> {
    await this.#write(client, this.view, rounds);
  }

  /** A checkpoint has been taken. */
  checkpoint(): void {
    this.latest.copy(this.view);
  }

  /** Fails unless `client` reads the image that `which` names. */
  async assertReads(client: NbdClient, which: 'latest' | 'view'): Promise<void> {
    assertSame(await client.read(0, this[which].length), this[which], `what the client reads and ${which}`);
  }

  /** Fails unless the file at `path` is that image. */
  async assertFile(path: string, which: 'latest' | 'view'): Promise<void> {
    assertSame(await readFile(path), this[which], `the image and ${which}`);
  }

  async #write(client: NbdClient, image: Buffer, rounds: number): Promise<void> {
    const part = image.length / AT_ONCE;
    for (let round = 0; round < rounds; round += 1) {
      const writes = Array.from({ length: AT_ONCE }, (_, i) => {
        const length = this.#random.between(1, MAX_WRITE_BYTES);
        const offset = i * part + this.#random.below(part - length);
        // QEMU's images are of sectors.
        const [from, to] = [offset - (offset % 512), Math.ceil((offset + length) / 512) * 512];
        const data = this.#random.bytes(to - from);
        data.copy(image, from);
        return client.write(from, data);
      });
      await Promise.all(writes);
    }
  }
}

function assertSame(got: Buffer, wanted: Buffer, what: string): void {
  assert.equal(got.length, wanted.length);
  if (got.equals(wanted)) return;
  const at = got.findIndex((byte, index) => byte !== wanted[index]);
  assert.fail(`At byte ${at}, ${what} differ: ${got[at]} is not ${wanted[at]}`);
}
