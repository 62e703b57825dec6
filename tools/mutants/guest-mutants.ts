/** What a real guest's file system must notice. */

import type { Mutant } from './mutant.ts';

const rule = 'guest';
const tests = ['test/guest/guest.test.js'];

export const guestMutants: readonly Mutant[] = [
  {
    rule,
    breaks: 'some forwarded writes arrive as zeroes',
    file: 'src/drivers/replication/mirrored-request.js',
    search: "guest.kind === 'discard' ? 'write-zeroes' : guest.kind",
    replace:
      "guest.kind === 'discard' || (index > 0 && guest.kind === 'write' && (guest.offset / 4096) % 8 === 3) ? 'write-zeroes' : guest.kind",
    tests,
  },
  {
    rule,
    breaks: 'the commit leaves some chunks as the primary wrote them later',
    file: 'src/drivers/colo-buffer/buffer-commit.js',
    search: 'if (entry !== NO_ENTRY) {',
    replace: 'if (entry !== NO_ENTRY && chunk % 3 !== 0) {',
    tests,
  },
];
