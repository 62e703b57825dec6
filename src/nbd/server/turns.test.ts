/** A client that sends much in a row: others have their turn between, and all of it is answered. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CMD, request } from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import type { Clock } from '../../base/clock.ts';

/** Each is read by itself, and some of them lie in the socket at once. */
const MESSAGE_BYTES = 20 * 1024;
const MESSAGES = 20;
/** Two reads where Node.js reads 64 KiB at a time. */
const MAX_IN_TURN = 6;

/** Time that passes whenever it is looked at, so that each turn is over with its first read. */
class TickingClock implements Clock {
  #nowMs = 0;

  nowMs(): number {
    this.#nowMs += 1;
    return this.#nowMs;
  }

  wallUs(): number {
    return this.#nowMs * 1000;
  }

  after(): { cancel(): void } {
    return { cancel() {} };
  }
}

for (const receiveMode of ['in-place', 'copy'] as const) {
  test(`between two turns of a connection the event loop goes on, and nothing is left unread (${receiveMode})`, async () => {
    await using disk = await ServedDisk.open({ clock: new TickingClock(), server: { receiveMode } });
    const client = await disk.attach();
    const payload = Buffer.alloc(MESSAGE_BYTES, 1);
    const header = (cookie: number): Buffer =>
      request({ type: CMD.WRITE, cookie, offset: cookie * MESSAGE_BYTES, length: MESSAGE_BYTES });
    client.send(...Array.from({ length: MESSAGES }, (_, cookie) => [header(cookie), payload]).flat());
    let most = 0;
    for (let seen = 0; seen < MESSAGES; ) {
      await new Promise(resolve => setImmediate(resolve));
      most = Math.max(most, disk.node.log.length - seen);
      seen = disk.node.log.length;
    }
    assert.ok(most <= MAX_IN_TURN, `${most} of ${MESSAGES} commands were taken in one turn`);
    for (let cookie = 0; cookie < MESSAGES; cookie++) {
      assert.deepEqual(await client.simpleReply(), { error: 0, cookie });
    }
  });
}
