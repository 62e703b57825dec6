/** Mutants of the quorum driver. */

import type { Mutant } from './mutant.ts';

const NODE = 'src/drivers/quorum/quorum-node.js';
const READ = 'src/drivers/quorum/quorum-read.js';
const BALLOT = 'src/drivers/quorum/ballot.js';
const CHILDREN = 'src/drivers/quorum/quorum-children.js';
const STATUS = 'src/drivers/quorum/status-vote.js';
const MISSES = 'src/drivers/quorum/unflushed-misses.js';
const NODE_TEST = 'src/drivers/quorum/quorum-node.test.js';
const INTERLEAVING_TEST = 'src/drivers/quorum/quorum-interleaving.test.js';
const CHILDREN_TEST = 'src/drivers/quorum/quorum-children.test.js';
const MISSES_TEST = 'src/drivers/quorum/unflushed-misses.test.js';

export const quorumMutants: readonly Mutant[] = [
  {
    rule: 'quorum writes',
    breaks: 'a write that too few children have is acknowledged',
    file: NODE,
    search: 'if (ballot.successes < this.rules.threshold) {',
    replace: 'if (ballot.successes < 1) {',
    tests: [NODE_TEST],
  },
  {
    rule: 'quorum writes',
    breaks: 'overlapping writes reach the children in any order',
    file: NODE,
    search: 'else if (this.changes.enter(ballot)) {',
    replace: 'else {',
    tests: [INTERLEAVING_TEST],
  },
  {
    rule: 'quorum writes',
    breaks: 'a discard may leave each child with other bytes',
    file: BALLOT,
    search: "if (child.kind === 'discard') {",
    replace: 'if (false) {',
    tests: [NODE_TEST],
  },
  {
    rule: 'quorum flush',
    breaks: 'a flush vouches for writes that the flushed children missed',
    file: NODE,
    search: 'this.#misses.add(this.#children.failed(errnos));',
    replace: 'void 0;',
    tests: [NODE_TEST],
  },
  {
    rule: 'quorum flush',
    breaks: 'a flush makes forgotten what was missed after it began',
    file: MISSES,
    search: 'if (write <= position)',
    replace: 'if (true)',
    tests: [MISSES_TEST],
  },
  {
    rule: 'quorum reads',
    breaks: 'the winner of a vote is taken however few agree',
    file: READ,
    search: 'if (votes < threshold) {',
    replace: 'if (false) {',
    tests: [NODE_TEST],
  },
  {
    rule: 'quorum reads',
    breaks: 'a child is called bad for a write that is on its way',
    file: READ,
    search: 'else if (this.#isLocked)',
    replace: 'else if (true)',
    tests: [INTERLEAVING_TEST],
  },
  {
    rule: 'quorum reads',
    breaks: 'a rewrite is not kept apart from the writes of the guest',
    file: READ,
    search: 'if (this.#node.changes.enter(this))',
    replace: '',
    tests: [INTERLEAVING_TEST],
  },
  {
    rule: 'quorum reads',
    breaks: 'the losers of a vote stay as they are',
    file: READ,
    search: 'if (this.#node.rules.rewriteCorrupted)',
    replace: 'if (false)',
    tests: [NODE_TEST],
  },
  {
    rule: 'quorum reads',
    breaks: 'a block-status calls zero what one child calls zero',
    file: STATUS,
    search: 'flags &= list.flags[indices[i]];',
    replace: 'flags |= list.flags[indices[i]];',
    tests: [NODE_TEST],
  },
  {
    rule: 'quorum children',
    breaks: 'a child of another size is added',
    file: CHILDREN,
    search: 'if (child.lengthBytes !== quorum.lengthBytes) {',
    replace: 'if (false) {',
    tests: [CHILDREN_TEST],
  },
  {
    rule: 'quorum children',
    breaks: 'so many children are removed that no write can succeed',
    file: NODE,
    search: 'if (this.edges.length > this.rules.threshold)',
    replace: 'if (true)',
    tests: [CHILDREN_TEST],
  },
];
