/** What breaks prepare, do and abort (design, section 6), and the take-over that closes the old primary out. */

import type { Mutant } from './mutant.ts';

const GROUP = 'src/block/consistency-group.js';
const HOLD = 'src/drivers/replication/checkpoint-hold.js';
const NODE = 'src/drivers/replication/replication-node.js';
const BUFFER = 'src/drivers/colo-buffer/colo-buffer.js';
const BUFFER_NODE = 'src/drivers/colo-buffer/colo-buffer-node.js';
const PREPARE = 'src/monitor/commands/replication-checkpoint-prepare.js';
const EXPORTS = 'src/monitor/block-exports.js';
const STOP = 'src/monitor/take-over.js';
const STOP_TEST = 'src/monitor/take-over.test.js';
const NODE_TEST = 'src/drivers/replication/replication-node.test.js';
const VIEW = 'src/drivers/colo-buffer/colo-buffer-node.test.js';
const COMMANDS = 'test/scenarios/replication-commands.test.js';
const TAKE_OVER = 'src/drivers/colo-buffer/take-over.test.js';

const rule = '6';

export const checkpointMutants: readonly Mutant[] = [
  {
    rule,
    breaks: 'a prepare does not await the writes in flight',
    file: HOLD,
    search: 'if (!isQuiet()) {',
    replace: 'if (false) {',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'a prepared primary goes on forwarding',
    file: HOLD,
    search: 'this.#isActive = true;',
    replace: '',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'writes that were held never go on',
    file: HOLD,
    search: 'for (const write of held)',
    replace: 'for (const write of [])',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'a checkpoint vouches for a disk whose copies differ',
    file: NODE,
    search: 'if (this.#localError !== null)',
    replace: 'return;\n        if (this.#localError !== null)',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'a checkpoint is taken after forwarding has ended',
    file: NODE,
    search: "if (this.#state !== 'running') {\n            refuse(",
    replace: 'if (false) {\n            refuse(',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'a hold that nobody resumes never ends',
    file: GROUP,
    search: 'this.#expired = n;',
    replace: '',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'a second prepare is taken while one is under way',
    file: GROUP,
    search: 'if (this.#preparing || this.#prepared !== null) {',
    replace: 'if (false) {',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'a checkpoint may have the number of an earlier one',
    file: GROUP,
    search: 'if (n <= this.#checkpoint) {',
    replace: 'if (false) {',
    tests: [TAKE_OVER],
  },
  {
    rule,
    breaks: 'a repeated do is refused',
    file: GROUP,
    search: 'if (n === this.#checkpoint && this.#prepared === null && !this.#ended)',
    replace: 'if (false)',
    tests: [TAKE_OVER],
  },
  {
    rule,
    breaks: 'a secondary prepares although it received another number of writes',
    file: PREPARE,
    search: 'if (received !== forwarded) {',
    replace: 'if (false) {',
    tests: [COMMANDS],
  },
  {
    rule,
    breaks: 'do drops nothing',
    file: BUFFER,
    search: 'this.#running.dropped = true;',
    replace: 'this.abort(); return;',
    tests: [VIEW],
  },
  {
    rule,
    breaks: 'an abort forgets the originals of the prepared generation',
    file: BUFFER,
    search: 'this.#running.absorb(prepared);',
    replace: '',
    tests: [VIEW],
  },
  {
    rule,
    breaks: 'a checkpoint that is aborted or void is the last one',
    file: GROUP,
    search: 'this.#checkpoint = n;',
    replace: 'this.#checkpoint = n + 1;',
    tests: [NODE_TEST],
  },
  {
    rule,
    breaks: 'a take-over leaves the replica export open',
    file: STOP,
    search: 'await daemon.exports.closeWriters(plan().nodes.map(backingOf), DEADLINE_MS);',
    replace: '',
    tests: [COMMANDS],
  },
  {
    rule,
    breaks: 'who exports a disk anew while another is closed goes on writing',
    file: EXPORTS,
    search: 'await this.#closeAll(writers, deadlineMs);',
    replace: 'return await this.#closeAll(writers, deadlineMs);',
    tests: [STOP_TEST],
  },
  {
    rule,
    breaks: 'what changed while a take-over waited is not looked at again',
    file: STOP,
    search:
      'await daemon.exports.closeWriters(plan().nodes.map(backingOf), DEADLINE_MS);\n    const { nodes, jobIds } = plan();',
    replace:
      'const { nodes, jobIds } = plan();\n    await daemon.exports.closeWriters(nodes.map(backingOf), DEADLINE_MS);',
    tests: [STOP_TEST],
  },
  {
    rule,
    breaks: 'a take-over goes on although somebody still writes the disk',
    file: BUFFER_NODE,
    search: 'if (writer !== undefined) {',
    replace: 'if (false) {',
    tests: [TAKE_OVER],
  },
  {
    rule,
    breaks: 'the image latest keeps the buffer',
    file: BUFFER_NODE,
    search: 'this.#buffer.dropAll();',
    replace: '',
    tests: [TAKE_OVER],
  },
];
