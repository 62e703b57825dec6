/** What breaks jobs that copy under writes. */

import type { Mutant } from './mutant.ts';

const JOB = 'src/jobs/job.js';
const MIRROR = 'src/jobs/mirror-work.js';
const BACKUP = 'src/jobs/backup-work.js';
const COPIER = 'src/jobs/dirty-copier.js';
const COMMIT = 'src/drivers/colo-buffer/buffer-commit.js';
const PIPELINE = 'src/jobs/pipeline.js';
const JOB_TEST = 'src/jobs/job.test.js';
const MIRROR_TEST = 'src/jobs/mirror-work.test.js';
const MIRROR_CANCEL_TEST = 'src/jobs/mirror-cancel.test.js';
const BACKUP_TEST = 'src/jobs/backup-work.test.js';
const COMMIT_JOB_TEST = 'src/jobs/commit-job.test.js';
const PIPELINE_TEST = 'src/jobs/pipeline.test.js';

export const jobMutants: readonly Mutant[] = [
  {
    rule: 'job',
    breaks: 'a job that was cancelled while it was pending takes effect all the same',
    file: JOB,
    search: 'await this.#pend();\n            this.#cancellation.check();',
    replace: 'await this.#pend();',
    tests: [JOB_TEST],
  },
  {
    rule: 'job',
    breaks: 'a pipeline that has ended starts again',
    file: PIPELINE,
    search: 'if (this.#hasEnded)\n            return;\n        let start',
    replace: 'let start',
    tests: [PIPELINE_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'a write in the background does not make its range dirty',
    file: MIRROR,
    search: 'this.#touched(request.offset, request.length);\n            request.complete(errno);',
    replace: 'request.complete(errno);',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'copies of one range overtake each other',
    file: COPIER,
    search: 'if (this.#overlapping(waiter.offset, waiter.length) !== null)',
    replace: 'if (false)',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'the users are not held while the last writes are copied',
    file: MIRROR,
    search: 'drainRoots(users,',
    replace: 'drainRoots(() => [],',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'who comes while the users are held writes past the copy',
    file: MIRROR,
    search: '[...users()].some(user => !user.isHeld || user.inFlight > 0)',
    replace: 'false',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'users are held for a target that hangs',
    file: MIRROR,
    search: 'await this.#copyRestInTime(HELD_DEADLINE_MS);',
    replace: 'await this.#copyRestInTime(1e9);',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'the users go over to a target that was not flushed',
    file: MIRROR,
    search: 'await this.#copyRestInTime(HELD_DEADLINE_MS);',
    replace: 'await this.#requireCopier().sweep({ yields: false });',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'a cancel waits for copies whose target hangs',
    file: MIRROR,
    search: 'await control.unlessCancelled(copier.sweep({ yields: true }));',
    replace: 'await copier.sweep({ yields: true });',
    tests: [MIRROR_CANCEL_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'a mirror that was cancelled while its users were held takes effect all the same',
    file: MIRROR,
    search: 'control.unlessCancelled(this.#copyRest())',
    replace: 'this.#copyRest()',
    tests: [MIRROR_CANCEL_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'what a mirror left behind in its target keeps the source in use',
    file: COPIER,
    search: 'copy.leaveSource();',
    replace: 'void copy;',
    tests: [MIRROR_CANCEL_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'a cancel waits for a target whose server is gone',
    file: 'src/jobs/copy-roots.js',
    search: 'this.target.node.stopWaiting();',
    replace: 'void 0;',
    tests: [MIRROR_CANCEL_TEST],
  },
  {
    rule: 'job',
    breaks: 'a job that has ended tells of the requests it left behind',
    file: JOB,
    search: "if (!acceptsVerb(this.status, 'cancel'))\n            return 'report';",
    replace: '',
    tests: [MIRROR_CANCEL_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'a write whose copy failed is not copied again',
    file: MIRROR,
    search: "if (end !== 'copied')",
    replace: 'if (false)',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'mirror',
    breaks: 'writes are copied to a target that is drained',
    file: COPIER,
    search: 'if (target.isHeld && !source.isHeld)',
    replace: 'if (false)',
    tests: [MIRROR_TEST],
  },
  {
    rule: 'drain',
    breaks: 'a sweep begins copies while its roots are held',
    file: COPIER,
    search: 'if (sides.source.isHeld || sides.target.isHeld)',
    replace: 'if (false)',
    tests: [MIRROR_TEST, BACKUP_TEST],
  },
  {
    rule: 'backup',
    breaks: 'a cancel waits for copies whose target hangs',
    file: BACKUP,
    search: 'await control.unlessCancelled(copier.sweep({ yields: true }));',
    replace: 'await copier.sweep({ yields: true });',
    tests: [BACKUP_TEST],
  },
  {
    rule: 'backup',
    breaks: 'a write does not wait until what it overwrites is copied',
    file: BACKUP,
    search: 'copier.isCopied(request.offset, request.length)',
    replace: 'true',
    tests: [BACKUP_TEST],
  },
  {
    rule: 'backup',
    breaks: 'a write overtakes the copy of what it overwrites',
    file: COPIER,
    search: 'this.#todo.nextDirty(offset) >= offset + length && this.#overlapping(offset, length) === null',
    replace: 'this.#todo.nextDirty(offset) >= offset + length',
    tests: [BACKUP_TEST],
  },
  {
    rule: 'backup',
    breaks: 'writes that were in flight at the start are not waited for',
    file: BACKUP,
    search: 'await whileDrained(source, control.clock, () => {',
    replace: 'await (async (_node, _clock, act) => act())(source, control.clock, () => {',
    tests: [BACKUP_TEST],
  },
  {
    rule: 'backup',
    breaks: 'a backup that lost what a write overwrote goes on as if it had it',
    file: BACKUP,
    search: 'this.#giveUp(copyError(failed.error));',
    replace: '',
    tests: [BACKUP_TEST],
  },
  {
    rule: 'drain',
    breaks: 'a drain does not wait for a piece of a commit',
    file: COMMIT,
    search: 'root.beginWork();\n    try {\n        await act();\n    }\n    finally {\n        root.endWork();\n    }',
    replace: 'await act();',
    tests: [COMMIT_JOB_TEST],
  },
  {
    rule: 'drain',
    breaks: 'a commit begins a piece while its root is held',
    file: COMMIT,
    search: 'while (root.isHeld)',
    replace: 'while (false)',
    tests: [COMMIT_JOB_TEST],
  },
  {
    rule: 'copy',
    breaks: 'where there is data is asked again and again',
    file: COPIER,
    search: 'this.#knownData.has(offset)',
    replace: 'false',
    tests: ['src/jobs/dirty-copier.test.js'],
  },
];
