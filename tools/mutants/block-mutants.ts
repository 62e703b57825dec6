/** What breaks the block layer (design, section 3): guards, permissions, notifiers, drain, durability. */

import type { Mutant } from './mutant.ts';

const EDGE = 'src/block/block-edge.js';
const NODE = 'src/block/block-node.js';
const BACKEND = 'src/block/block-backend.js';
const GRAPH = 'src/block/block-graph.js';
const DRAIN = 'src/block/drain.js';
const REQUEST = 'src/block/block-request.js';
const BITMAP = 'src/block/dirty-bitmap.js';
const FLUSH_QUEUE = 'src/drivers/file/flush-queue.js';
const EDGE_TEST = 'src/block/block-edge.test.js';
const CHANGES_TEST = 'src/block/graph-changes.test.js';
const GRAPH_TEST = 'src/block/block-graph.test.js';
const BACKEND_TEST = 'src/block/block-backend.test.js';
const NOTIFIER_TEST = 'src/block/before-write-notifier.test.js';
const BITMAP_TEST = 'src/block/dirty-bitmap.test.js';
const FLUSH_TEST = 'src/drivers/file/flush-queue.test.js';

export const blockMutants: readonly Mutant[] = [
  {
    rule: '3 guard',
    breaks: 'requests past the end reach the driver',
    file: EDGE,
    search: 'request.length > node.lengthBytes - request.offset',
    replace: 'false',
    tests: [EDGE_TEST],
  },
  {
    rule: '3 guard',
    breaks: 'unaligned requests reach the driver',
    file: EDGE,
    search: 'if (requestAlignment > 1 &&',
    replace: 'if (false &&',
    tests: [EDGE_TEST],
  },
  {
    rule: '3 guard',
    breaks: 'transfers larger than the node takes reach the driver',
    file: EDGE,
    search: 'request.length > node.limits.maxTransferBytes',
    replace: 'false',
    tests: [EDGE_TEST],
  },
  {
    rule: '3 guard',
    breaks: 'a parent without the permission writes',
    file: EDGE,
    search: 'if (changes && (!this.#permissions.write || node.readOnly))',
    replace: 'if (changes && node.readOnly)',
    tests: [EDGE_TEST],
  },
  {
    rule: '3 guard',
    breaks: 'a write-zeroes that must be fast is let through to a node that has none',
    file: EDGE,
    search: 'if (request.fastOnly && !node.limits.fastZeroes)',
    replace: 'if (false)',
    tests: [EDGE_TEST],
  },
  {
    rule: '3 permissions',
    breaks: 'a second writer of an image is let in',
    file: EDGE,
    search: 'if (permissions.write && !other.permissions.shareWrite) {',
    replace: 'if (false) {',
    tests: [EDGE_TEST],
  },
  {
    rule: '3 permissions',
    breaks: 'a reader that needs a stable image gets one that is being written',
    file: EDGE,
    search: 'if (other.permissions.write && !permissions.shareWrite) {',
    replace: 'if (false) {',
    tests: [EDGE_TEST],
  },
  {
    rule: '3 permissions',
    breaks: 'an image is used while it is resized',
    file: EDGE,
    search: 'if (other.permissions.resize) {',
    replace: 'if (false) {',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 permissions',
    breaks: 'a used image is resized',
    file: EDGE,
    search: 'if (permissions.resize) {',
    replace: 'if (false) {',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 permissions',
    breaks: 'an image that is resized is replaced below its user',
    file: EDGE,
    search: 'if (this.#permissions.resize) {',
    replace: 'if (false) {',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'a node in use is removed',
    file: GRAPH,
    search: 'if (user === undefined)',
    replace: 'if (true)',
    tests: [GRAPH_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'a node is replaced by one of another size',
    file: EDGE,
    search: 'if (node.lengthBytes !== lengthBytes)',
    replace: 'if (false)',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'a replacement has a second writer',
    file: EDGE,
    search: 'this.checkPermissions(this.#permissions, node);',
    replace: '',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'a node is replaced while requests are in flight on it',
    file: GRAPH,
    search: 'await whileDrained(from, this.#clock, () => this.replaceDrained(from, to, except));',
    replace: 'this.replaceDrained(from, to, except);',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'a node becomes its own descendant',
    file: GRAPH,
    search: 'if (!nodesBelow(child).has(parent))',
    replace: 'if (true)',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'an image grows below a user that relies on its size',
    file: GRAPH,
    search: 'if (other === undefined)',
    replace: 'if (true)',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'a reopened image is open to a second writer',
    file: 'src/drivers/file/open-image.js',
    search: "widenLock(image.fd, imageUse(options, !readOnly), use) === 'in-use'",
    replace: 'false',
    tests: [CHANGES_TEST],
  },
  {
    rule: '3 graph',
    breaks: 'two nodes get one name',
    file: GRAPH,
    search: 'if (this.#entries.has(name) || this.#opening.has(name)) {',
    replace: 'if (false) {',
    tests: [GRAPH_TEST],
  },
  {
    rule: '3 requests',
    breaks: 'a request may complete twice',
    file: REQUEST,
    search: "assert(this.#state === 'submitted', 'A request completes exactly once');",
    replace: '',
    tests: ['src/block/block-request.test.js'],
  },
  {
    rule: '3 notifiers',
    breaks: 'discards and zeroes change data before the notifiers have run',
    file: NODE,
    search: 'if (!this.#isWatched || !request.changesData)',
    replace: "if (!this.#isWatched || request.kind !== 'write')",
    tests: [NOTIFIER_TEST],
  },
  {
    rule: '3 notifiers',
    breaks: 'a write that a notifier holds back is performed at once',
    file: NODE,
    search: 'if (!notifier.beforeWrite(request))',
    replace: 'if (!notifier.beforeWrite(request) && false)',
    tests: [NOTIFIER_TEST],
  },
  {
    rule: '3 notifiers',
    breaks: 'a notifier that is removed lets a held write pass the next one by',
    file: NODE,
    search: 'const { number, notifier } = this.#notifiers[i];',
    replace: 'const { notifier } = this.#notifiers[i], number = i + 1;',
    tests: [NOTIFIER_TEST],
  },
  {
    rule: '3 drain',
    breaks: 'a root that is held lets requests in',
    file: BACKEND,
    search: 'else if (this.#holds > 0) {',
    replace: 'else if (false) {',
    tests: [BACKEND_TEST],
  },
  {
    rule: '3 drain',
    breaks: 'a drain does not wait for what is in flight',
    file: DRAIN,
    search: 'root.inFlight > 0',
    replace: 'false',
    tests: [BACKEND_TEST],
  },
  {
    rule: '3 drain',
    breaks: 'a root that comes while a drain waits is not held',
    file: DRAIN,
    search: 'if (held.has(root))',
    replace: 'if (held.size > 1)',
    tests: [BACKEND_TEST],
  },
  {
    rule: '3 drain',
    breaks: 'a drain that failed leaves its roots held',
    file: DRAIN,
    search: 'release();\n        throw error;',
    replace: 'throw error;',
    tests: [BACKEND_TEST],
  },
  {
    rule: '3 dirty bitmap',
    breaks: 'the last granule of a range stays clean',
    file: BITMAP,
    search: 'Math.floor((offset + length - 1) / this.granularityBytes) + 1',
    replace: 'first + 1',
    tests: [BITMAP_TEST],
  },
  {
    rule: '3 flush',
    breaks: 'a node whose flush was late stays in use for good',
    file: 'src/block/flush-node.js',
    search: 'const left = backend.idle().then(() => backend.detach());',
    replace: 'const left = backend.idle();',
    tests: ['src/block/flush-node.test.js'],
  },
  {
    rule: '3 flush',
    breaks: 'a flush joins an fsync that has started',
    file: FLUSH_QUEUE,
    search: 'this.#waiting.push(request);',
    replace: '(this.#syncing ? this.#covered : this.#waiting).push(request);',
    tests: [FLUSH_TEST],
  },
  {
    rule: '3 flush',
    breaks: 'a flush after a failed fsync is tried again',
    file: FLUSH_QUEUE,
    search: 'if (error !== null)\n            this.#latch.fail(errnoOf(error));',
    replace: '',
    tests: [FLUSH_TEST],
  },
];
