/** What breaks copying and comparing images. */

import type { Mutant } from './mutant.ts';

const RUNS = 'src/jobs/extent-runs.js';
const COPY = 'src/jobs/image-copy.js';
const RANGE = 'src/jobs/range-copy.js';
const COMPARISON = 'src/jobs/image-comparison.js';
const RUNS_TEST = 'src/jobs/extent-runs.test.js';
const COPY_TEST = 'src/jobs/image-copy.test.js';

export const copyMutants: readonly Mutant[] = [
  {
    rule: 'copy',
    breaks: 'data in a block that also has zeroes is not copied',
    file: RUNS,
    search: 'Math.max(this.#made, this.#roundUp(start))',
    replace: 'Math.max(this.#made, this.#roundDown(start))',
    tests: [RUNS_TEST],
  },
  {
    rule: 'copy',
    breaks: 'zeroes within data are not written over what the target has',
    file: RANGE,
    search: 'if (!this.#sides.targetIsZero) {',
    replace: 'if (false) {',
    tests: ['src/jobs/mirror-work.test.js'],
  },
  {
    rule: 'copy',
    breaks: 'holes are not written over what the target has',
    file: COPY,
    search: 'if (run.isZero && this.#options.targetIsZero) {',
    replace: 'if (run.isZero) {',
    tests: [COPY_TEST],
  },
  {
    rule: 'copy',
    breaks: 'success is told before the target has been flushed',
    file: COPY,
    search: 'await flushSide(options.target);',
    replace: '',
    tests: [COPY_TEST],
  },
  {
    rule: 'copy',
    breaks: 'a comparison passes over what the target alone has',
    file: COMPARISON,
    search: 'one.isZero && other.isZero',
    replace: 'one.isZero',
    tests: [COPY_TEST],
  },
];
