import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type ByteRange, OverlapTracker } from './overlap-tracker.ts';

type Write = ByteRange & { readonly name: string };

function write(name: string, offset: number, length: number): Write {
  return { name, offset, length };
}

function names(writes: readonly Write[]): string[] {
  return writes.map(({ name }) => name);
}

test('writes that only touch do not wait for each other', () => {
  const tracker = new OverlapTracker<Write>();
  assert.equal(tracker.enter(write('a', 0, 4096)), true);
  assert.equal(tracker.enter(write('b', 4096, 4096)), true);
  assert.equal(tracker.active, 2);
});

test('an overlapping write waits, and so does one that overlaps the waiting one', () => {
  const tracker = new OverlapTracker<Write>();
  const a = write('a', 0, 10);
  const b = write('b', 5, 10);
  const c = write('c', 12, 10);
  assert.equal(tracker.enter(a), true);
  assert.equal(tracker.enter(b), false);
  assert.equal(tracker.enter(c), false);
  assert.deepEqual(names(tracker.waitingRequests()), ['b', 'c']);
  assert.deepEqual(names(tracker.leave(a)), ['b']);
  assert.deepEqual(names(tracker.leave(b)), ['c']);
  assert.deepEqual(names(tracker.leave(c)), []);
  assert.equal(tracker.active, 0);
});

test('a write that is withdrawn lets those behind it start', () => {
  const tracker = new OverlapTracker<Write>();
  const b = write('b', 5, 10);
  tracker.enter(write('a', 0, 6));
  tracker.enter(b);
  tracker.enter(write('c', 12, 10));
  assert.deepEqual(names(tracker.withdraw(b)), ['c']);
  assert.deepEqual(names(tracker.activeRequests()), ['a', 'c']);
});

test('writes in flight never overlap, overlapping ones keep their order, and all get their turn', () => {
  const range = fc.record({ offset: fc.nat(40), length: fc.integer({ min: 1, max: 15 }) });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 25 }), fc.infiniteStream(fc.nat()), (ranges, choices) => {
      const tracker = new OverlapTracker<Write>();
      const writes = ranges.map((each, i) => write(String(i), each.offset, each.length));
      const started: Write[] = writes.filter(each => tracker.enter(each));
      while (tracker.active > 0) {
        const active = tracker.activeRequests();
        for (const a of active) for (const b of active) assert.ok(a === b || !overlap(a, b), `${a.name} and ${b.name}`);
        const ended = active[(choices.next().value as number) % active.length] as Write;
        started.push(...tracker.leave(ended));
      }
      assert.equal(started.length, writes.length);
      for (const [i, a] of writes.entries()) {
        for (const b of writes.slice(i + 1)) {
          if (overlap(a, b)) assert.ok(started.indexOf(a) < started.indexOf(b), `${a.name} before ${b.name}`);
        }
      }
    }),
  );
});

function overlap(a: ByteRange, b: ByteRange): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}
