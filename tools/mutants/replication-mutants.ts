/** What breaks the replication node (design, section 5). */

import type { Mutant } from './mutant.ts';

const NODE = 'src/drivers/replication/replication-node.js';
const MIRRORED = 'src/drivers/replication/mirrored-request.js';
const REMOTE = 'src/drivers/replication/remote-copy.js';
const COVERAGE = 'src/drivers/replication/flush-coverage.js';
const TRACKER = 'src/block/overlap-tracker.js';
const NODE_TEST = 'src/drivers/replication/replication-node.test.js';
const REMOTE_TEST = 'src/drivers/replication/remote-copy.test.js';
const TRACKER_TEST = 'src/block/overlap-tracker.test.js';

const rule = '5';
const tests = [NODE_TEST];

export const replicationMutants: readonly Mutant[] = [
  {
    rule,
    breaks: 'a write is acknowledged when the local copy has it',
    file: MIRRORED,
    search: 'if (this.#outstanding === 0)\n            this.#supervisor',
    replace: 'if (child.tag === LOCAL)\n            this.#supervisor',
    tests,
  },
  {
    rule,
    breaks: 'a copy may come back without what it had acknowledged',
    file: 'src/drivers/replication/refuse-unfit-link.js',
    search: "refuseReconnecting(node, 'a copy of a replicated disk');",
    replace: '',
    tests: ['src/drivers/refuse-reconnecting.test.js'],
  },
  {
    rule,
    breaks: 'overlapping writes are on their way at once',
    file: NODE,
    search: 'else if (this.#tracker.enter(mirrored))',
    replace: 'else if (this.#tracker.enter(mirrored) || true)',
    tests,
  },
  {
    rule,
    breaks: 'a write passes one that waits for an earlier one of the same range',
    file: TRACKER,
    search: 'if (overlapsAny(this.#active, request) || overlapsAny(this.#waiting, request)) {',
    replace: 'if (overlapsAny(this.#active, request)) {',
    tests: [TRACKER_TEST],
  },
  {
    rule,
    breaks: 'reads go to the remote copy',
    file: NODE,
    search: 'this.#local.submit(request);',
    replace: 'this.#remotes[0].edge.submit(request);',
    tests,
  },
  {
    rule,
    breaks: 'discards travel as discards, and the copies may read differently',
    file: MIRRORED,
    search: "guest.kind === 'discard' ? 'write-zeroes' : guest.kind",
    replace: 'guest.kind',
    tests,
  },
  {
    rule,
    breaks: 'zeroes travel in pieces larger than 64 MiB',
    file: 'src/drivers/replication/limits.js',
    search: 'const MAX_PIECE_BYTES = 64 * 1024 * 1024;',
    replace: 'const MAX_PIECE_BYTES = 65 * 1024 * 1024;',
    tests,
  },
  {
    rule,
    breaks: 'a local error is acknowledged as success',
    file: NODE,
    search: 'if (mirrored.localErrno !== 0)',
    replace: 'if (false)',
    tests,
  },
  {
    rule,
    breaks: 'a local error leaves its range clean',
    file: NODE,
    search: '#localFailed(operation, offset, length, errno) {\n        this.#dirty.add(offset, length);',
    replace: '#localFailed(operation, offset, length, errno) {',
    tests,
  },
  {
    rule,
    breaks: 'a failed forward leaves its range clean',
    file: NODE,
    search: 'mirrored.missedRemote = true;\n            this.#dirty.add(pieceOffset, pieceLength);',
    replace: 'mirrored.missedRemote = true;',
    tests,
  },
  {
    rule,
    breaks: 'a write acknowledged remotely after forwarding has ended stays clean',
    file: NODE,
    search: 'else if (!this.#forwarding) {\n            this.#dirty.add(pieceOffset, pieceLength);',
    replace: 'else if (!this.#forwarding) {',
    tests,
  },
  {
    rule,
    breaks: 'a write after the end of forwarding stays clean',
    file: NODE,
    search: 'this.#dirty.add(mirrored.pieceOffset, mirrored.pieceLength);',
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'a failed forward ends forwarding of its own disk only',
    file: NODE,
    search: 'const nodes = this.#group?.nodes ?? [this];',
    replace: 'const nodes = [this];',
    tests,
  },
  {
    rule,
    breaks: 'after a failed forward later writes are forwarded on',
    file: NODE,
    search:
      'endForwarding(reason) {\n        if (!this.#forwarding)\n            return;\n        this.#forwarding = false;',
    replace: 'endForwarding(reason) {',
    tests,
  },
  {
    rule,
    breaks: 'with on-remote-error=report the guest is not told',
    file: NODE,
    search: "return mirrored.missedRemote && this.#onRemoteError === 'report' && this.#state !== 'done' ? EIO : 0;",
    replace: 'return 0;',
    tests,
  },
  {
    rule,
    breaks: 'uncovered writes stay clean when the link is lost',
    file: COVERAGE,
    search: 'dirty.addAll(this.#uncovered);',
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'writes that a flush in flight would have covered stay clean when the link is lost',
    file: COVERAGE,
    search: 'dirty.addAll(this.#covering);',
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'a flush covers writes that were acknowledged after it was sent',
    file: COVERAGE,
    search: 'this.#isFlushing = false;\n        this.#covering.clear();',
    replace: 'this.#isFlushing = false;\n        this.#uncovered.clear();\n        this.#covering.clear();',
    tests: [REMOTE_TEST],
  },
  {
    rule,
    breaks: 'a failed local flush leaves what it was to cover clean',
    file: NODE,
    search: 'this.#localCoverage.loseTo(this.#dirty);',
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'the remote is not flushed after 32 MiB',
    file: REMOTE,
    search: 'this.coverage.uncoveredBytes >= FLUSH_AFTER_BYTES ||',
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'the remote is not flushed after a second',
    file: REMOTE,
    search: '|| nowMs - this.#uncoveredSinceMs >= FLUSH_AFTER_MS',
    replace: '',
    tests,
  },
  {
    rule,
    breaks: 'a remote flush that fails is passed over',
    file: REMOTE,
    search: 'this.#onFlushError(this, errno);',
    replace: ';',
    tests: [REMOTE_TEST],
  },
  {
    rule,
    breaks: 'a late copy holds the guest’s write for good',
    file: NODE,
    search: 'nowMs - mirrored.arrivedMs >=',
    replace: 'nowMs - mirrored.arrivedMs >= 1e9 *',
    tests,
  },
  {
    rule,
    breaks: 'the memory of a write is given back while a late copy still reads it',
    file: MIRRORED,
    search: 'this.#slab.retain();',
    replace: 'this.#slab = null;',
    tests,
  },
  {
    rule,
    breaks: 'a flush is acknowledged when the local copy has flushed',
    file: NODE,
    search: 'if (this.#forwarding) {',
    replace: 'if (false) {',
    tests,
  },
  {
    rule,
    breaks: 'before replication starts a write is taken',
    file: NODE,
    search: "if (this.#state === 'none' || this.#refusesWrites) {",
    replace: 'if (this.#refusesWrites) {',
    tests,
  },
];
