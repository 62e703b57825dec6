/**
 * Checkpoints under full write load, one every 100 ms: what they add to the latency of the guest's writes, and whether
 * they stall an event loop. Each round runs the load without checkpoints, then with them. Failed
 * checkpoints are counted. QEMU is no subject here: with writes in flight its checkpoint may abort.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { ColobusPair } from '../../test/support/colobus-pair.ts';
import { fetchProcessStats } from '../../test/support/process-stats.ts';
import type { BenchmarkGroup, BenchmarkOptions } from '../benchmark-group.ts';
import { type Measurement, median } from '../benchmark-result.ts';
import { type FioResult, fioLine } from '../fio.ts';
import { colobusSubject, fillDisk, openColobusPair } from '../pair-subjects.ts';
import { inRounds } from '../rounds.ts';
import type { Samples } from '../samples.ts';
import { measure, type Workload } from '../subject.ts';

const DISK_BYTES = 1024 ** 3;
const INTERVAL_MS = 100;
const AFTER_DROP_MS = 1000;

const WITHOUT = 'colobus, no checkpoints';
const WITH = 'colobus, a checkpoint every 100 ms';
const RATE = '4 KiB random write, depth 32';
const LATENCY = 'write latency p99';
const ADDED = 'write latency p99 that checkpoints add';
const FAILED = 'checkpoints that failed';
const DURATION = 'checkpoint under load, prepare to done';
const LONGEST = 'longest checkpoint under load, prepare to done';
const SEQUENCE = 'checkpoint under load, all commands as the client sees them';
const STALLS = { primary: 'event-loop stall p99.9, primary', secondary: 'event-loop stall p99.9, secondary' } as const;

export const latencyGroup: BenchmarkGroup = {
  name: 'latency',
  summary: 'What checkpoints under full write load cost the guest',
  promises: [
    { subject: WITH, workload: FAILED, peer: null, relation: 'at most', want: 0 },
    { subject: WITH, workload: ADDED, peer: null, relation: 'at most', want: 5 },
    { subject: WITH, workload: STALLS.primary, peer: null, relation: 'at most', want: 10 },
    { subject: WITH, workload: STALLS.secondary, peer: null, relation: 'at most', want: 10 },
  ],
  run,
};

async function run(options: BenchmarkOptions): Promise<Measurement[]> {
  const timed = { size: DISK_BYTES, runtime: options.seconds, time_based: 1 };
  const job = { name: 'load', rw: 'randwrite', bs: '4k', iodepth: 32, norandommap: 0, ...timed };
  const load: Workload = { name: RATE, unit: 'IOPS', job };
  options.report(fioLine(job));
  await using pair = await openColobusPair('colobus latency', options, { sizeBytes: DISK_BYTES });
  const subject = colobusSubject(WITHOUT, pair);
  await fillDisk(subject, options, DISK_BYTES);
  return await inRounds(options, async samples => {
    const without = await measure(load, subject, samples, options);
    await pair.checkpoint();
    await resetStats(pair);
    const checkpoints = Checkpoints.start(pair);
    const under = measure(load, { ...subject, name: WITH }, samples, options);
    await under.finally(() => checkpoints.stop());
    // What the last drop has left to do is watched as well.
    await pause(AFTER_DROP_MS);
    addLatency(samples, without, await under);
    await addStalls(samples, pair);
    checkpoints.addTo(samples);
  });
}

function addLatency(samples: Samples, without: FioResult, under: FioResult): void {
  samples.add(LATENCY, WITHOUT, 'ms', without.p99Ms);
  samples.add(LATENCY, WITH, 'ms', under.p99Ms);
  samples.add(ADDED, WITH, 'ms', Math.max(0, under.p99Ms - without.p99Ms));
}

async function resetStats({ primary, secondary }: ColobusPair): Promise<void> {
  for (const { qmp } of [primary, secondary]) await fetchProcessStats(qmp, { reset: true });
}

async function addStalls(samples: Samples, pair: ColobusPair): Promise<void> {
  for (const side of ['primary', 'secondary'] as const) {
    const { eventLoopDelayUs } = await fetchProcessStats(pair[side].qmp);
    samples.add(STALLS[side], WITH, 'ms', eventLoopDelayUs.p999 / 1000);
  }
}

/** A checkpoint every INTERVAL_MS until it is stopped. */
class Checkpoints {
  readonly #pair: ColobusPair;
  readonly #running: Promise<void>;
  readonly #durationsMs: number[] = [];
  readonly #sequencesMs: number[] = [];
  #failed = 0;
  #isStopping = false;

  private constructor(pair: ColobusPair) {
    this.#pair = pair;
    this.#running = this.#run();
  }

  static start(pair: ColobusPair): Checkpoints {
    return new Checkpoints(pair);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  addTo(samples: Samples): void {
    const done = this.#durationsMs.length;
    samples.add(FAILED, WITH, '%', (100 * this.#failed) / (done + this.#failed));
    samples.add(DURATION, WITH, 'ms', median(this.#durationsMs));
    samples.add(LONGEST, WITH, 'ms', Math.max(...this.#durationsMs));
    samples.add(SEQUENCE, WITH, 'ms', median(this.#sequencesMs));
  }

  async #run(): Promise<void> {
    for (let dueMs = performance.now(); !this.#isStopping; dueMs += INTERVAL_MS) {
      await pause(Math.max(0, dueMs - performance.now()));
      try {
        const { prepareToDoneUs, sequenceMs } = await this.#pair.checkpoint();
        this.#durationsMs.push(prepareToDoneUs / 1000);
        this.#sequencesMs.push(sequenceMs);
      } catch {
        this.#failed += 1;
      }
    }
  }
}
