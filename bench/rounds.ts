/** The rounds of a group: one that warms everybody up and is not counted, then those that are. */

import type { BenchmarkOptions } from './benchmark-group.ts';
import type { Measurement } from './benchmark-result.ts';
import { Samples } from './samples.ts';

/** Calls `round` once for nothing and then as often as the options say; what it added to the counted samples. */
export async function inRounds(
  { rounds, report }: BenchmarkOptions,
  round: (samples: Samples) => Promise<void>,
): Promise<Measurement[]> {
  await round(new Samples());
  report('warm-up done, not counted');
  const samples = new Samples();
  for (let number = 1; number <= rounds; number += 1) {
    await round(samples);
    report(`round ${number} of ${rounds} done`);
  }
  return samples.measurements();
}
