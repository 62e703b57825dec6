import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spellOutFlags } from './option-flags.ts';

test('a flag is its name with on, or with off where it begins with no', () => {
  for (const [given, spelt] of [
    ['socket,id=c,path=p,server,nowait', 'socket,id=c,path=p,server=on,wait=off'],
    ['socket,server=on,nodelay', 'socket,server=on,nodelay=on'],
    ['socket,path=a,,b,,,server', 'socket,path=a,,b,,,server=on'],
    ['socket,path=no,,server', 'socket,path=no,,server'],
    ['server', 'server'],
    ['', ''],
  ] as const) {
    assert.equal(spellOutFlags(given), spelt);
  }
});
