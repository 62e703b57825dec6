/** Samples: what the rounds of a group measured, by workload and subject, in the order they first came. */

import type { Measurement, Unit } from './benchmark-result.ts';

type MutableMeasurement = Measurement & { readonly samples: number[]; readonly cpuUs: Record<string, number[]> };

export class Samples {
  readonly #rows = new Map<string, MutableMeasurement>();

  add(workload: string, subject: string, unit: Unit, sample: number): void {
    const key = keyOf(workload, subject);
    const row = this.#rows.get(key) ?? { workload, subject, unit, samples: [], cpuUs: {} };
    row.samples.push(sample);
    this.#rows.set(key, row);
  }

  /** Processor time a request of a row that is there, in microseconds, for each of the subject's processes. */
  addCpu(workload: string, subject: string, cpuUs: Readonly<Record<string, number>>): void {
    const row = this.#rows.get(keyOf(workload, subject));
    if (row === undefined) throw new Error(`'${workload}' of ${subject} has no sample yet`);
    for (const [process, us] of Object.entries(cpuUs)) row.cpuUs[process] = [...(row.cpuUs[process] ?? []), us];
  }

  measurements(): Measurement[] {
    return [...this.#rows.values()];
  }
}

function keyOf(workload: string, subject: string): string {
  return JSON.stringify([workload, subject]);
}
