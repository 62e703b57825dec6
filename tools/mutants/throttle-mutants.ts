/** Mutants of the throttle driver. */

import type { Mutant } from './mutant.ts';

const LANE = 'src/drivers/throttle/throttle-lane.js';
const BUCKET = 'src/drivers/throttle/leaky-bucket.js';
const METER = 'src/drivers/throttle/throttle-meter.js';
const OBJECTS = 'src/monitor/user-objects.js';
const DRAIN = 'src/block/drain.js';
const NODE_TEST = 'src/drivers/throttle/throttle-node.test.js';

export const throttleMutants: readonly Mutant[] = [
  {
    rule: 'throttle',
    breaks: 'a request that comes while others wait goes before them',
    file: LANE,
    search: 'this.#waiting === 0 && !this.#isRunning &&',
    replace: '',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'the member that came first always has its turn',
    file: LANE,
    search: 'this.#turn = (this.#turn + 1) % this.#places.length;',
    replace: 'this.#turn = this.#places.findIndex(({ queue }) => queue.length > 0);\n',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'writes wait for good where reads fill the bucket that they share',
    file: LANE,
    search: 'if (this.#waiting > 0)\n            this.#letFirst(this.#nextPlace());',
    replace: '',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'a burst goes beyond its rate',
    file: BUCKET,
    search: 'if (wait > 0 || !this.#limitsBursts)',
    replace: 'if (true)',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'a long request counts as one operation',
    file: METER,
    search: 'isLong ? length / this.#operationBytes : 1',
    replace: '1',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'a drain waits for the limits',
    file: DRAIN,
    search: 'root.hold();\n            hurry.add(root.node);',
    replace: 'root.hold();',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'what comes during a drain waits for the limits',
    file: 'src/drivers/throttle/throttle-node.js',
    search: 'this.#hurries > 0',
    replace: 'false',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'after a drain there are no limits',
    file: DRAIN,
    search: 'hurry.end();\n        for (const root of held)',
    replace: 'for (const root of held)',
    tests: [NODE_TEST],
  },
  {
    rule: 'throttle',
    breaks: 'a group that nodes are in is deleted',
    file: OBJECTS,
    search: 'if (object.group.isInUse)',
    replace: 'if (false)',
    tests: ['src/monitor/user-objects.test.js'],
  },
];
