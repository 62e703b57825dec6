import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EIO } from '../../base/errno.ts';
import { type BlockRequest, takeRequest } from '../../block/block-request.ts';
import { FailureLatch } from '../../block/failure-latch.ts';
import { FlushQueue } from './flush-queue.ts';

/** A queue whose syncs end when the test says so. */
class Scene {
  readonly failures: number[] = [];
  readonly latch = new FailureLatch(errno => this.failures.push(errno));
  /** Syncs that were started and have not ended. */
  readonly syncs: ((error: Error | null) => void)[] = [];
  started = 0;
  readonly finished: [tag: number, errno: number][] = [];
  readonly #queue = new FlushQueue(
    done => {
      this.started += 1;
      this.syncs.push(done);
    },
    this.latch,
    (request, errno) => this.finished.push([request.tag, errno]),
  );

  flush(tag: number): void {
    const request: BlockRequest = takeRequest('flush', { requestDone: () => {} });
    request.tag = tag;
    this.#queue.add(request);
  }

  syncBehind(): void {
    this.#queue.syncBehind();
  }

  endSync(error: Error | null): void {
    this.syncs.shift()?.(error);
  }
}

const failure = Object.assign(new Error('EIO'), { errno: -EIO });

test('a flush does not join a running sync, and those that wait share the next one', () => {
  const scene = new Scene();
  scene.flush(1);
  scene.flush(2);
  scene.flush(3);
  assert.equal(scene.started, 1);
  scene.endSync(null);
  assert.deepEqual(scene.finished, [[1, 0]]);
  assert.equal(scene.started, 2);
  scene.endSync(null);
  assert.deepEqual(scene.finished, [
    [1, 0],
    [2, 0],
    [3, 0],
  ]);
  assert.equal(scene.started, 2);
});

test('a failed sync fails those it covered and those that waited, and none is tried again', () => {
  const scene = new Scene();
  scene.flush(1);
  scene.flush(2);
  scene.endSync(failure);
  scene.flush(3);
  assert.deepEqual(scene.finished, [
    [1, EIO],
    [2, EIO],
    [3, EIO],
  ]);
  assert.equal(scene.started, 1);
  assert.equal(scene.latch.errno, EIO);
});

test('a flush does not join a running sync that nobody asked for', () => {
  const scene = new Scene();
  scene.syncBehind();
  scene.flush(1);
  assert.equal(scene.started, 1);
  scene.endSync(null);
  assert.deepEqual(scene.finished, []);
  assert.equal(scene.started, 2);
  scene.endSync(null);
  assert.deepEqual(scene.finished, [[1, 0]]);
});

test('a sync that nobody asked for and that fails is told at once, and fails every later flush', () => {
  const scene = new Scene();
  scene.syncBehind();
  scene.endSync(failure);
  assert.deepEqual(scene.failures, [EIO]);
  scene.flush(1);
  scene.syncBehind();
  assert.deepEqual(scene.finished, [[1, EIO]]);
  assert.equal(scene.started, 1);
});

test('only one sync runs at a time, whoever wants it', () => {
  const scene = new Scene();
  scene.flush(1);
  scene.syncBehind();
  scene.syncBehind();
  assert.equal(scene.started, 1);
  scene.endSync(null);
  assert.equal(scene.started, 1);
});
