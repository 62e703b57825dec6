/** A real Linux guest on a replicated disk: docs/qemu.md, "A real guest". */

import { test } from 'node:test';
import { survives } from './survival.ts';
import { takeOverCheckpoint, takeOverLatest } from './take-over.ts';

test('after SIGKILL a second guest finds every printed record in image latest, and a journal to replay', async t => {
  t.diagnostic(await takeOverLatest({ place: 'memory', records: 80 }));
});

test('image checkpoint of a frozen guest is a clean file system with every record printed before it', async t => {
  t.diagnostic(await takeOverCheckpoint({ place: 'memory', records: 30 }));
});

test('a guest goes on when its secondary freezes or dies and when its own daemon is started again', async t => {
  t.diagnostic(await survives({ place: 'memory', records: 15 }));
});
