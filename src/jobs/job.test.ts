import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Deferred, deferred } from '../base/deadline.ts';
import { EIO, ENOSPC } from '../base/errno.ts';
import { ColobusError } from '../base/errors.ts';
import { SimulatedClock } from '../sim/simulated-clock.ts';
import { SimulatedDisk } from '../sim/simulated-disk.ts';
import type { OnError } from './error-policy.ts';
import { Job } from './job.ts';
import type { JobEvent } from './job-event.ts';
import { JobList } from './job-list.ts';
import type { JobOptions } from './job-options.ts';
import type { JobControl, JobWork } from './job-work.ts';

/** Work whose steps a test takes: it comes to its pause point whenever it is woken. */
class SteppedWork implements JobWork {
  control: JobControl | null = null;
  readonly calls: string[] = [];
  readonly #becomesReady: boolean;
  #woken = deferred<void>();
  #done: Deferred<void> | null = null;
  finalizeFails = false;

  constructor(becomesReady = false) {
    this.#becomesReady = becomesReady;
  }

  async run(control: JobControl): Promise<void> {
    this.control = control;
    if (this.#becomesReady) control.ready();
    while (control.ending === null && this.#done === null) {
      await this.#woken.promise;
      await control.pausePoint();
    }
    await this.#done?.promise;
    this.calls.push(`run ${control.ending}`);
  }

  async finalize(): Promise<void> {
    this.calls.push('finalize');
    if (this.finalizeFails) throw new ColobusError('Input/output error: no pivot', { errno: EIO });
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }

  wake(): void {
    this.#woken.resolve();
    this.#woken = deferred();
  }

  finish(error: Error | null = null): void {
    this.#done = deferred();
    if (error === null) this.#done.resolve();
    else this.#done.reject(error);
    this.wake();
  }
}

/** A started job, with what it told so far: statuses as they are, events by name. */
function startJob(work: JobWork, options: Partial<JobOptions> = {}): { job: Job; told: string[]; events: JobEvent[] } {
  const told: string[] = [];
  const events: JobEvent[] = [];
  const emit = (event: JobEvent): void => {
    events.push(event);
    told.push(event.name === 'JOB_STATUS_CHANGE' ? event.data.status : event.name);
  };
  const job = new Job({ id: 'j', type: 'test', work, clock: new SimulatedClock(), emit, ...options });
  job.start();
  return { job, told, events };
}

/** Lets all that can go on now do so. */
function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

test('work that succeeds waits, is pending, takes effect and goes', async () => {
  const work = new SteppedWork();
  const { job, told } = startJob(work);
  work.finish();
  await job.ended;
  assert.deepEqual(told, ['created', 'running', 'waiting', 'pending', 'BLOCK_JOB_COMPLETED', 'concluded', 'null']);
  assert.deepEqual(work.calls, ['run null', 'finalize', 'close']);
});

test('work that fails is aborted and takes no effect; the error is told and, without auto-dismiss, kept', async () => {
  const work = new SteppedWork();
  const { job, told, events } = startJob(work, { autoDismiss: false });
  work.finish(new Error('Input/output error'));
  await job.ended;
  assert.deepEqual(told, ['created', 'running', 'aborting', 'BLOCK_JOB_COMPLETED', 'concluded']);
  assert.deepEqual(work.calls, ['close']);
  assert.equal(job.info.error, 'Input/output error');
  const completed = events.find(event => event.name === 'BLOCK_JOB_COMPLETED');
  assert.equal(completed?.data.error, 'Input/output error');
  job.dismiss();
  assert.equal(told.at(-1), 'null');
});

test('auto-dismiss of success alone keeps a job that failed', async () => {
  for (const [error, last] of [
    [null, 'null'],
    [new Error('no'), 'concluded'],
  ] as const) {
    const work = new SteppedWork();
    const { job, told } = startJob(work, { autoDismiss: 'success' });
    work.finish(error);
    await job.ended;
    assert.equal(told.at(-1), last);
  }
});

test('a pause takes hold at the next pause point and lasts until a resume', async () => {
  const work = new SteppedWork();
  const { job, told } = startJob(work);
  await settled();
  job.pause();
  assert.equal(job.info.isPaused, true);
  await settled();
  assert.deepEqual(told.splice(0), ['created', 'running', 'paused']);
  assert.throws(() => job.pause(), /^UsageError: Job is already paused$/);
  work.finish();
  await settled();
  assert.deepEqual(told, []);
  job.resume();
  assert.throws(() => job.resume(), /^UsageError: Can't resume a job that was not paused$/);
  await job.ended;
  assert.deepEqual(told.slice(0, 2), ['running', 'waiting']);
});

test('a cancel lets a paused job run on into its end', async () => {
  const { job, told } = startJob(new SteppedWork());
  await settled();
  job.pause();
  await settled();
  assert.throws(() => job.cancel({ force: false }), /The block job for device 'j' is currently paused/);
  job.cancel({ force: true });
  await job.ended;
  const end = ['running', 'aborting', 'BLOCK_JOB_CANCELLED', 'concluded', 'null'];
  assert.deepEqual(told, ['created', 'running', 'paused', ...end]);
  assert.equal(job.info.error, 'Operation canceled');
});

test('a ready job is completed, or cancelled with its copy kept, or cancelled by force', async () => {
  const success = ['waiting', 'pending', 'BLOCK_JOB_COMPLETED', 'concluded', 'null'];
  for (const [act, ending, end] of [
    [(job: Job) => job.complete(), 'run complete', success],
    [(job: Job) => job.cancel({ force: false }), 'run cancel', success],
    [(job: Job) => job.cancel({ force: true }), undefined, ['aborting', 'BLOCK_JOB_CANCELLED', 'concluded', 'null']],
  ] as const) {
    const work = new SteppedWork(true);
    const { job, told } = startJob(work);
    await settled();
    act(job);
    await job.ended;
    assert.deepEqual(told, ['created', 'running', 'ready', 'BLOCK_JOB_READY', ...end]);
    assert.equal(
      work.calls.find(call => call.startsWith('run')),
      ending,
    );
  }
});

test('a ready job stands by while it is paused, and remembers a complete', async () => {
  const work = new SteppedWork(true);
  const { job, told } = startJob(work);
  await settled();
  job.pause();
  await settled();
  job.complete();
  await settled();
  assert.deepEqual(told.splice(0), ['created', 'running', 'ready', 'BLOCK_JOB_READY', 'standby']);
  job.resume();
  await job.ended;
  assert.deepEqual(told.slice(0, 3), ['ready', 'waiting', 'pending']);
  assert.ok(work.calls.includes('run complete'));
});

test('without auto-finalize the work takes effect only when it is told, and a cancel still prevents it', async () => {
  for (const cancel of [false, true]) {
    const work = new SteppedWork();
    const { job, told } = startJob(work, { autoFinalize: false });
    work.finish();
    await settled();
    assert.deepEqual(told.splice(0), ['created', 'running', 'waiting', 'pending', 'BLOCK_JOB_PENDING']);
    assert.ok(!work.calls.includes('finalize'));
    if (cancel) job.cancel({ force: true });
    else await job.finalize();
    await job.ended;
    assert.equal(work.calls.includes('finalize'), !cancel);
    assert.deepEqual(
      told,
      cancel ? ['aborting', 'BLOCK_JOB_CANCELLED', 'concluded', 'null'] : ['BLOCK_JOB_COMPLETED', 'concluded', 'null'],
    );
  }
});

test('work that cannot take effect makes the job fail', async () => {
  const work = new SteppedWork();
  work.finalizeFails = true;
  const { job, told } = startJob(work);
  work.finish();
  await job.ended;
  assert.deepEqual(told.slice(2), ['waiting', 'pending', 'aborting', 'BLOCK_JOB_COMPLETED', 'concluded', 'null']);
  assert.match(job.info.error ?? '', /no pivot/);
});

test('preparation counts as a pause, and its failure ends the job', async () => {
  for (const fails of [false, true]) {
    const prepared = deferred<void>();
    const work = new SteppedWork();
    const { job, told } = startJob(Object.assign(work, { pausesToPrepare: true, prepare: () => prepared.promise }));
    assert.deepEqual(told, ['created', 'running', 'paused']);
    job.pause();
    job.resume();
    assert.equal(job.status, 'paused');
    if (fails) prepared.reject(new Error('no drain'));
    else prepared.resolve();
    if (fails) await assert.rejects(job.prepared, /no drain/);
    else await job.prepared;
    assert.equal(told[3], 'running');
    if (fails) assert.deepEqual(told.slice(4), ['aborting', 'BLOCK_JOB_COMPLETED', 'concluded', 'null']);
  }
});

test('what is done about a failed request follows the policy, and a stop pauses until a resume', async () => {
  const cases: readonly (readonly [OnError, number, string, string])[] = [
    ['report', EIO, 'report', 'ok'],
    ['ignore', EIO, 'ignore', 'ok'],
    ['stop', EIO, 'stop', 'failed'],
    ['enospc', EIO, 'report', 'ok'],
    ['enospc', ENOSPC, 'stop', 'nospace'],
    ['auto', ENOSPC, 'stop', 'nospace'],
  ];
  for (const [policy, errno, action, ioStatus] of cases) {
    const work = new SteppedWork();
    const { job, events } = startJob(work);
    await settled();
    assert.equal(work.control?.failed('write', errno, policy), action);
    assert.deepEqual(events.at(-1), {
      name: 'BLOCK_JOB_ERROR',
      data: { device: 'j', operation: 'write', action },
    });
    assert.equal(job.info.ioStatus, ioStatus);
    assert.equal(job.info.isPaused, action === 'stop');
    if (action !== 'stop') continue;
    job.resume();
    assert.equal(job.info.ioStatus, 'ok');
  }
});

test("a verb that the status forbids is refused in QEMU's words", async () => {
  const work = new SteppedWork();
  const { job } = startJob(work, { autoDismiss: false });
  for (const verb of ['complete', 'finalize', 'dismiss'] as const) {
    await assert.rejects(
      async () => job[verb](),
      new RegExp(`^UsageError: Job 'j' in state 'running' cannot accept command verb '${verb}'$`),
    );
  }
  work.finish();
  await job.ended;
  assert.throws(() => job.setSpeed(1), /Job 'j' in state 'concluded' cannot accept command verb 'set-speed'/);
  assert.throws(() => job.cancel({ force: true }), /cannot accept command verb 'cancel'/);
});

test('a job with a negative speed is created and gone at once', () => {
  const told: string[] = [];
  const node = new SimulatedDisk('disk', Buffer.alloc(0));
  const jobs = new JobList(new SimulatedClock(), event => {
    if (event.name === 'JOB_STATUS_CHANGE') told.push(event.data.status);
  });
  const wanted = { id: 'j', type: 'test', node, work: new SteppedWork(), speed: -1 };
  assert.throws(() => jobs.start(wanted), /Parameter 'speed' expects a non-negative value/);
  assert.deepEqual(told, ['created', 'null']);
  assert.deepEqual(jobs.infos(), []);
});

test('at the end of the daemon what must be finished is, paused or not, and the rest is cancelled', async () => {
  const node = new SimulatedDisk('disk', Buffer.alloc(0));
  const jobs = new JobList(new SimulatedClock());
  const commit = new SteppedWork(true);
  const mirror = new SteppedWork(true);
  const paused = jobs.start({
    id: 'commit',
    type: 'commit',
    node,
    work: commit,
    finishAtEnd: true,
    autoFinalize: false,
  });
  jobs.start({ id: 'mirror', type: 'mirror', node, work: mirror });
  await settled();
  paused.pause();
  await settled();
  assert.deepEqual(
    jobs.unfinished().map(({ id }) => id),
    ['commit'],
  );
  assert.deepEqual(await jobs.finishAll(), []);
  assert.deepEqual(commit.calls, ['run complete', 'finalize', 'close']);
  assert.deepEqual(mirror.calls, ['close']);
});

test('at the end of the daemon a job is finished that a failure has stopped while it was pending', async () => {
  const work = new SteppedWork();
  const { job } = startJob(work, { autoFinalize: false, autoDismiss: false });
  await settled();
  work.finish();
  await settled();
  assert.equal(job.status, 'pending');
  assert.equal(work.control?.failed('write', EIO, 'stop'), 'stop');
  await job.finish();
  assert.deepEqual([job.info.error, job.status], [undefined, 'concluded']);
});
