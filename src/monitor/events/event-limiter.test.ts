import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import type { QmpEvent } from '../protocol/qmp-message.ts';
import { EventLimiter } from './event-limiter.ts';

describe('EventLimiter', () => {
  let clock: ManualClock;
  let limiter: EventLimiter;
  let sent: string[];

  beforeEach(() => {
    clock = new ManualClock();
    sent = [];
    limiter = new EventLimiter(clock, ({ name, data }, wallUs) => {
      const { 'node-name': node = '', 'sector-num': sector = '' } = data as Record<string, unknown>;
      sent.push(`${clock.nowMs()}: ${name} ${node} ${sector} of ${wallUs / 1000}`);
    });
  });

  it('sends events without a limit at once, all of them', () => {
    for (let i = 0; i < 3; i++) limiter.emit({ name: 'JOB_STATUS_CHANGE', data: { id: 'j', status: 'running' } });
    assert.equal(sent.length, 3);
    assert.equal(clock.timers, 0);
  });

  it('sends the first at once, drops those between, and sends the last a second later with its own time', () => {
    limiter.emit(bad('a', 1));
    clock.advance(100);
    limiter.emit(bad('a', 2));
    clock.advance(100);
    limiter.emit(bad('a', 3));
    clock.advance(799);
    assert.deepEqual(sent, ['0: QUORUM_REPORT_BAD a 1 of 0']);
    clock.advance(1);
    assert.deepEqual(sent.slice(1), ['1000: QUORUM_REPORT_BAD a 3 of 200']);
  });

  it('begins another second with the one that was delayed', () => {
    limiter.emit(bad('a', 1));
    limiter.emit(bad('a', 2));
    clock.advance(1500);
    limiter.emit(bad('a', 3));
    assert.equal(sent.length, 2);
    clock.advance(500);
    assert.deepEqual(sent.slice(2), ['2000: QUORUM_REPORT_BAD a 3 of 1500']);
  });

  it('sends at once again after a second without any, and keeps nothing of it', () => {
    limiter.emit(bad('a', 1));
    clock.advance(1000);
    assert.equal(clock.timers, 0);
    limiter.emit(bad('a', 2));
    assert.deepEqual(sent.slice(1), ['1000: QUORUM_REPORT_BAD a 2 of 1000']);
  });

  it('limits QUORUM_REPORT_BAD by node', () => {
    for (const node of ['a', 'b', 'a', 'b']) limiter.emit(bad(node, 1));
    assert.deepEqual(sent, ['0: QUORUM_REPORT_BAD a 1 of 0', '0: QUORUM_REPORT_BAD b 1 of 0']);
  });

  it('limits QUORUM_FAILURE for all nodes together, beside QUORUM_REPORT_BAD', () => {
    limiter.emit(bad('a', 1));
    for (const reference of ['q', 'r']) {
      limiter.emit({ name: 'QUORUM_FAILURE', data: { reference, 'sector-num': 0, 'sectors-count': 8 } });
    }
    assert.equal(sent.length, 2);
    clock.advance(1000);
    assert.equal(sent.length, 3);
  });

  it('sends nothing more once it is disposed', () => {
    limiter.emit(bad('a', 1));
    limiter.emit(bad('a', 2));
    limiter[Symbol.dispose]();
    clock.advance(5000);
    assert.equal(sent.length, 1);
    assert.equal(clock.timers, 0);
  });
});

function bad(node: string, sector: number): QmpEvent {
  return {
    name: 'QUORUM_REPORT_BAD',
    data: { type: 'write', 'node-name': node, 'sector-num': sector, 'sectors-count': 8 },
  };
}
