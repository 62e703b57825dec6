import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantError } from '../base/assert.ts';
import { releaseRequest, takeRequest } from './block-request.ts';

test('a request completes exactly once, and goes back to the pool only when it has', () => {
  let completions = 0;
  const request = takeRequest('read', { requestDone: () => completions++ });
  request.markSubmitted();
  assert.throws(() => releaseRequest(request), InvariantError);
  request.complete(0);
  assert.throws(() => request.complete(0), InvariantError);
  assert.equal(completions, 1);
  releaseRequest(request);
  assert.throws(() => request.markSubmitted(), InvariantError);
});
