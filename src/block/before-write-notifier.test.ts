import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../test/support/disk-client.ts';
import { EIO } from '../base/errno.ts';
import type { BeforeWriteNotifier } from './before-write-notifier.ts';
import { BlockNode } from './block-node.ts';
import type { BlockRequest } from './block-request.ts';

class NotifiedNode extends BlockNode {
  readonly events: string[];

  constructor(events: string[]) {
    super({ name: 'disk', driver: 'notified', lengthBytes: 4096, readOnly: false });
    this.events = events;
  }

  protected override perform(request: BlockRequest): void {
    this.events.push(`performed ${request.kind}`);
    request.complete(0);
  }
}

/** Notes what it sees, and holds it where told to. */
class NotingNotifier implements BeforeWriteNotifier {
  readonly held: BlockRequest[] = [];
  readonly #name: string;
  readonly #holds: boolean;
  readonly #events: string[];

  constructor(name: string, holds: boolean, events: string[]) {
    this.#name = name;
    this.#holds = holds;
    this.#events = events;
  }

  beforeWrite(request: BlockRequest): boolean {
    this.#events.push(`${this.#name} saw ${request.kind}`);
    if (this.#holds) this.held.push(request);
    return !this.#holds;
  }
}

test('everything that changes data passes the notifiers first, and nothing else does', async () => {
  const events: string[] = [];
  const node = new NotifiedNode(events);
  node.addBeforeWriteNotifier(new NotingNotifier('notifier', false, events));
  using disk = new DiskClient(node);
  for (const kind of ['read', 'write', 'discard', 'write-zeroes', 'flush', 'block-status', 'cache'] as const) {
    assert.equal(await disk.submit(kind, 0, 1), 0);
  }
  assert.deepEqual(
    events.filter(event => event.startsWith('notifier')),
    ['notifier saw write', 'notifier saw discard', 'notifier saw write-zeroes'],
  );
  assert.ok(events.indexOf('notifier saw write') < events.indexOf('performed write'));
});

test('a write that a notifier holds goes on to the next one when it is told to proceed', async () => {
  const events: string[] = [];
  const node = new NotifiedNode(events);
  const first = new NotingNotifier('first', true, events);
  node.addBeforeWriteNotifier(first);
  node.addBeforeWriteNotifier(new NotingNotifier('second', false, events));
  using disk = new DiskClient(node);
  const answer = disk.submit('write', 0, 1);
  assert.deepEqual(events, ['first saw write']);
  for (const request of first.held) node.proceed(request);
  assert.equal(await answer, 0);
  assert.deepEqual(events, ['first saw write', 'second saw write', 'performed write']);
});

test('a write that a notifier refuses does not happen', async () => {
  const events: string[] = [];
  const node = new NotifiedNode(events);
  const notifier = new NotingNotifier('notifier', true, events);
  node.addBeforeWriteNotifier(notifier);
  using disk = new DiskClient(node);
  const answer = disk.submit('write', 0, 1);
  for (const request of notifier.held) request.complete(EIO);
  assert.equal(await answer, EIO);
  assert.deepEqual(events, ['notifier saw write']);
});

test('a removed notifier sees nothing more', async () => {
  const events: string[] = [];
  const node = new NotifiedNode(events);
  const notifier = new NotingNotifier('notifier', false, events);
  node.addBeforeWriteNotifier(notifier);
  node.removeBeforeWriteNotifier(notifier);
  using disk = new DiskClient(node);
  await disk.submit('write', 0, 1);
  assert.deepEqual(events, ['performed write']);
});

test('a notifier that is removed while writes are held takes no other out of their way', async () => {
  for (const holder of [0, 1]) {
    const events: string[] = [];
    const node = new NotifiedNode(events);
    const notifiers = [0, 1, 2].map(i => new NotingNotifier(`${i}`, i === holder, events));
    for (const notifier of notifiers) node.addBeforeWriteNotifier(notifier);
    using disk = new DiskClient(node);
    const answer = disk.submit('write', 0, 1);
    node.removeBeforeWriteNotifier(notifiers[0] ?? assert.fail());
    for (const request of notifiers[holder]?.held ?? []) node.proceed(request);
    assert.equal(await answer, 0);
    assert.deepEqual(events, ['0 saw write', '1 saw write', '2 saw write', 'performed write']);
  }
});
