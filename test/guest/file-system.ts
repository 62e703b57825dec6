/** What e2fsck may say about the guest's disk. */

import assert from 'node:assert/strict';
import type { Guest } from './guest.ts';

const SUMMARY = /^\/dev\/vda: \d+\/\d+ files \(\S+ non-contiguous\), \d+\/\d+ blocks$/;
/** A truncation that the kill came into the middle of is finished with the journal's replay; ext4 keeps a list of them. */
const REPLAY = /^\/dev\/vda: (?:recovering journal|(?:Clearing|Truncating) orphaned inode .*)$/;
const READ_ONLY_PASSES = /^(?:e2fsck \d.*|Pass \d: .*)$/;

/** e2fsck replays the journal and finds nothing else to mend; a second look at everything finds nothing at all. */
export async function assertOnlyJournalToReplay(guest: Guest): Promise<void> {
  const said = await fsck(guest, 'recover');
  assert.ok(said.includes('/dev/vda: recovering journal'), `Nothing to replay:\n${said.join('\n')}`);
  assertNothingBut(said, [REPLAY, SUMMARY]);
  await assertClean(guest);
}

/** e2fsck changes nothing and finds nothing, not even a journal to replay. */
export async function assertClean(guest: Guest): Promise<void> {
  assertNothingBut(await fsck(guest, 'check'), [READ_ONLY_PASSES, SUMMARY]);
}

/** What e2fsck said in the command `check` or `recover`; it ended well. */
async function fsck(guest: Guest, command: 'check' | 'recover'): Promise<string[]> {
  const printed = await guest.command(command);
  return printed.filter(line => line.startsWith('fsck ')).map(line => line.slice('fsck '.length));
}

function assertNothingBut(said: readonly string[], expected: readonly RegExp[]): void {
  assert.ok(said.length > 0, 'e2fsck said nothing');
  const surprises = said.filter(line => line !== '' && !expected.some(pattern => pattern.test(line)));
  assert.deepEqual(surprises, [], `e2fsck said:\n${said.join('\n')}`);
}
