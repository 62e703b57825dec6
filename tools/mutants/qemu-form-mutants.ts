/** What breaks QEMU's form of replication: the forwarding child of a quorum, the standby's gate, and its commands. */

import type { Mutant } from './mutant.ts';

const FORWARDING = 'src/drivers/replication/forwarding-node.js';
const STANDBY = 'src/drivers/replication/standby-node.js';
const BUFFER_NODE = 'src/drivers/colo-buffer/colo-buffer-node.js';
const ROLE = 'src/monitor/role-replication.js';
const FORWARDING_TEST = 'src/drivers/replication/forwarding-node.test.js';
const STANDBY_TEST = 'src/drivers/replication/standby-node.test.js';
const TAKE_OVER_TEST = 'src/drivers/colo-buffer/take-over.test.js';
const CASES = 'test/scenarios/qemu-replication.test.js';

const rule = '5';
const tests = [FORWARDING_TEST];

export const qemuFormMutants: readonly Mutant[] = [
  {
    rule,
    breaks: 'a failed forward is kept from the quorum, as QEMU keeps it',
    file: FORWARDING,
    search: 'parent.complete(errno);',
    replace: 'parent.complete(0);',
    tests,
  },
  {
    rule,
    breaks: 'writes are acknowledged before replication starts',
    file: FORWARDING,
    search: 'this.#dirty.add(offset, rest);\n            request.complete(EIO);',
    replace: 'this.#dirty.add(offset, rest);\n            request.complete(0);',
    tests,
  },
  {
    rule,
    breaks: 'a failed forward ends forwarding of its own disk alone',
    file: FORWARDING,
    search: 'const nodes = this.#group?.nodes ?? [this];',
    replace: 'const nodes = [this];',
    tests,
  },
  {
    rule,
    breaks: 'what is not forwarded any more leaves its range clean',
    file: FORWARDING,
    search: "if (this.#state !== 'none' || this.#isBelowNode)\n                this.#dirty.add(offset, rest);",
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'what comes behind a piece that failed stays clean',
    file: FORWARDING,
    search: 'parent === null ? length : parent.offset + parent.length - offset',
    replace: 'length',
    tests,
  },
  {
    rule,
    breaks: 'a checkpoint is prepared while writes are on their way',
    file: FORWARDING,
    search: 'isQuiet: () => this.#changesInFlight === 0',
    replace: 'isQuiet: () => true',
    tests,
  },
  {
    rule,
    breaks: 'a prepare holds nothing',
    file: FORWARDING,
    search: 'if (this.#hold.isActive)',
    replace: 'if (false)',
    tests,
  },
  {
    rule,
    breaks: 'a forward that is late is waited for',
    file: FORWARDING,
    search: 'if (nowMs - child.tag >= limitMs)',
    replace: 'if (false)',
    tests,
  },
  {
    rule,
    breaks: 'the payload of a late forward is given back while the link may still read it',
    file: FORWARDING,
    search: 'child.slab?.retain();',
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'what the copy has not flushed is forgotten when it is lost',
    file: FORWARDING,
    search: "this.#copy.lose(reason, this.#dirty);\n        this.#setState('degraded'",
    replace: "this.#setState('degraded'",
    tests,
  },
  {
    rule,
    breaks: 'the standby reads and writes before replication starts',
    file: STANDBY,
    search: 'if (isGated &&',
    replace: 'if (false &&',
    tests: [STANDBY_TEST],
  },
  {
    rule,
    breaks: 'a secondary vouches for a disk that could not store a write',
    file: BUFFER_NODE,
    search: 'const failed = this.#failedWrite();\n        if (failed !== null) {\n            throw',
    replace: 'const failed = this.#failedWrite();\n        if (false) {\n            throw',
    tests: [TAKE_OVER_TEST],
  },
  {
    rule,
    breaks: 'a checkpoint on a primary is taken over a failed forward, as QEMU takes it',
    file: ROLE,
    search: "const error = status.role === 'primary' ? errorOf(status) : null;",
    replace: 'const error = null;',
    tests: [CASES],
  },
];
