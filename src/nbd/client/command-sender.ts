/**
 * CommandSender: gathers the commands of a tick and writes them together.
 *
 * One batch is with the socket, the other gathers. While the socket is busy the other goes on gathering; it cannot
 * outgrow its memory, since a slot is free again only when its command was sent and answered.
 */

import type { BlockRequest } from '../../block/block-request.ts';
import { SendBatch } from './send-batch.ts';
import type { Slot, SlotTable } from './slot-table.ts';
import type { Wire } from './wire.ts';

/** Commands that are sent before the tick ends, so that the server begins while the rest gathers. */
const SEND_COMMANDS = 16;

export class CommandSender {
  readonly #wire: Wire;
  readonly #slots: SlotTable;
  #gathering: SendBatch;
  #sending: SendBatch;
  #gathered = 0;
  #isSending = false;
  #isScheduled = false;
  #isEnding = false;
  readonly #flush = (): void => {
    this.#isScheduled = false;
    this.#write();
  };

  constructor(wire: Wire, slots: SlotTable, extendedHeaders: boolean) {
    this.#wire = wire;
    this.#slots = slots;
    this.#gathering = new SendBatch(slots.slots.length, extendedHeaders);
    this.#sending = new SendBatch(slots.slots.length, extendedHeaders);
  }

  /** Sends the command for the request in `slot` with some more, at the end of this tick at the latest. */
  send(slot: Slot, request: BlockRequest): void {
    slot.batch = this.#slots.sentBatch + 1;
    this.#gathering.add(slot, request);
    this.#gathered += 1;
    if (this.#gathered >= SEND_COMMANDS) this.#write();
    else this.#schedule();
  }

  /** Tells the server that nothing more comes, and closes when all is sent. */
  disconnect(): void {
    this.#gathering.addDisconnect();
    this.#isEnding = true;
    this.#schedule();
  }

  /** The last write is over. */
  written(): void {
    this.#sending.clear();
    this.#isSending = false;
    if (!this.#isScheduled) this.#write();
  }

  /** Lets go of all memory; the wire is closed. */
  close(): void {
    this.#sending.clear();
    this.#gathering.clear();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isSending) return;
    this.#isScheduled = true;
    process.nextTick(this.#flush);
  }

  #write(): void {
    if (this.#isSending || this.#gathering.isEmpty) return;
    const batch = this.#gathering;
    const isAll = this.#gathered === this.#slots.inUse;
    this.#gathering = this.#sending;
    this.#sending = batch;
    this.#gathered = 0;
    this.#isSending = true;
    this.#slots.sentBatch += 1;
    if (this.#wire.write(batch.pieces())) this.written();
    if (isAll) this.#wire.expectAnswer();
    if (this.#isEnding) this.#wire.end();
  }
}
