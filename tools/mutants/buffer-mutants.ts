/** What breaks the rules B1 to B8 of the COLO buffer. */

import type { Mutant } from './mutant.ts';

const BUFFER = 'src/drivers/colo-buffer/colo-buffer.js';
const COPIER = 'src/drivers/colo-buffer/original-copier.js';
const GENERATION = 'src/drivers/colo-buffer/generation.js';
const READ = 'src/drivers/colo-buffer/standby-read.js';
const WRITE = 'src/drivers/colo-buffer/standby-write.js';
const COMMIT = 'src/drivers/colo-buffer/buffer-commit.js';
const VIEW = 'src/drivers/colo-buffer/colo-buffer-node.test.js';
const LIMITS = 'src/drivers/colo-buffer/colo-buffer-limits.test.js';
const HOLES = 'src/drivers/colo-buffer/colo-buffer-holes.test.js';
const TAKE_OVER = 'src/drivers/colo-buffer/take-over.test.js';
const DIFFERENTIAL = 'test/differential/differential.test.js';

export const bufferMutants: readonly Mutant[] = [
  {
    rule: 'B1',
    breaks: 'a write passes without its original being kept',
    file: COPIER,
    search: 'if (chunk === end)',
    replace: 'if (true)',
    tests: [VIEW],
  },
  {
    rule: 'B1',
    breaks: 'discards keep no originals',
    file: COPIER,
    search: 'if (chunk === end)',
    replace: "if (chunk === end || request.kind === 'discard')",
    tests: [VIEW],
  },
  {
    rule: 'B1',
    breaks: 'the last chunk of a write keeps no original where the write ends within it',
    file: COPIER,
    search: 'const end = Math.ceil((request.offset + request.length) / granularity);',
    replace: 'const end = Math.floor((request.offset + request.length) / granularity);',
    tests: [VIEW],
  },
  {
    rule: 'B1',
    breaks: 'while a checkpoint is prepared, originals go to the older generation',
    file: BUFFER,
    search: 'return this.#prepared ?? this.#running;',
    replace: 'return this.#running;',
    tests: [VIEW],
  },
  {
    rule: 'B1',
    breaks: 'a chunk that is a hole only in part becomes an original of zeroes',
    file: COPIER,
    search: ': Math.floor(extentEnd / granularity);',
    replace: ': Math.ceil(extentEnd / granularity);',
    tests: [HOLES],
  },
  {
    rule: 'B1',
    breaks: 'originals of zeroes take memory',
    file: COPIER,
    search: '(flags & EXTENT_ZERO) !== 0 &&',
    replace: 'false &&',
    tests: [HOLES],
  },
  {
    rule: 'B2',
    breaks: 'a partial chunk of a standby write is filled from the disk, not from the view',
    file: WRITE,
    search: 'readView(this.#buffer, fill);',
    replace: 'this.#buffer.backing.submit(fill);',
    tests: [VIEW],
  },
  {
    rule: 'B2',
    breaks: 'a partial chunk of a standby write is filled with zeroes',
    file: WRITE,
    search: 'this.#errno ||= fill.errno;',
    replace: 'this.#errno ||= fill.errno; fill.buffer.fill(0);',
    tests: [VIEW],
  },
  {
    rule: 'B2',
    breaks: 'a discard of the standby makes originals of zeroes, not own ones',
    file: WRITE,
    search: 'this.#generation.putZeroes(chunk, wholeEnd, true);',
    replace: 'this.#generation.putZeroes(chunk, wholeEnd, false);',
    tests: [HOLES],
  },
  {
    rule: 'B3',
    breaks: 'an original that arrives late replaces what the standby wrote meanwhile',
    file: COPIER,
    search: 'else if (keeps && !isZero && holder.find(chunk) === NO_ENTRY) {',
    replace: 'else if (keeps && !isZero) {',
    tests: [VIEW],
  },
  {
    rule: 'B3',
    breaks: 'originals of zeroes replace what the standby wrote',
    file: GENERATION,
    search: 'if (own) {',
    replace: 'if (true) {',
    tests: [HOLES],
  },
  {
    rule: 'B4',
    breaks: 'a read that fell through to the disk does not look again when it returns',
    file: READ,
    search: 'this.#gather(child.offset, child.length, false);',
    replace: ';',
    tests: [VIEW],
  },
  {
    rule: 'B4',
    breaks: 'the view does not look into the prepared generation',
    file: BUFFER,
    search: 'const entry = at.find(chunk);',
    replace: 'const entry = at.find(chunk); if (at !== generation) return NO_ENTRY;',
    tests: [VIEW],
  },
  {
    rule: 'B5',
    breaks: 'a write does not wait for the copy of its chunk',
    file: COPIER,
    search: 'if (errno === 0)\n            this.#disk.proceed(request);',
    replace: 'if (errno === 0)\n            ;',
    tests: [VIEW],
  },
  {
    rule: 'B5',
    breaks: 'a write that finds one of its chunks kept does not wait for the copies of the others',
    file: COPIER,
    search: 'if (!this.#advance())\n            return false;',
    replace: 'if (!this.#advance()) { this.#copier.copied = () => {}; return true; }',
    tests: [VIEW],
  },
  {
    rule: 'B6',
    breaks: 'a generation is recycled while a request reads it',
    file: BUFFER,
    search: 'this.#oldest.dropped && this.#oldest.pins === 0 &&',
    replace: '(this.#oldest.pins = 0) === 0 && this.#oldest.dropped &&',
    tests: [VIEW],
  },
  {
    rule: 'B6',
    breaks: 'a standby write whose generation was dropped takes effect in the next one',
    file: WRITE,
    search: 'if (this.#errno === 0 && !this.#generation.dropped',
    replace:
      'if (this.#generation.dropped) { this.#buffer.unpin(this.#generation); ' +
      'this.#generation = this.#buffer.running; this.#buffer.pin(this.#generation); }\n        ' +
      'if (this.#errno === 0 && !this.#generation.dropped',
    tests: [VIEW],
  },
  {
    rule: 'B6',
    breaks: 'a standby write whose generation was dropped fails',
    file: WRITE,
    search: 'this.#done(this, isVoid ? 0 : errno);',
    replace: 'this.#done(this, isVoid ? EIO : errno);',
    tests: [VIEW],
  },
  {
    rule: 'B6',
    breaks: 'a dropped generation keeps its memory',
    file: BUFFER,
    search: 'gone.recycle();',
    replace: ';',
    tests: [LIMITS, VIEW],
  },
  {
    rule: 'B7',
    breaks: 'the limit is not held',
    file: BUFFER,
    search: 'if (wanted <= this.#policies.limit)',
    replace: 'if (true)',
    tests: [LIMITS],
  },
  {
    rule: 'B7',
    breaks: 'originals of the prepared generation do not count against the limit',
    file: BUFFER,
    search: 'bytes += at.memoryBytes;',
    replace: 'bytes = bytes || at.memoryBytes;',
    tests: [LIMITS],
  },
  {
    rule: 'B7',
    breaks: 'nothing asks for a checkpoint at the soft limit',
    file: BUFFER,
    search: "if (wanted > this.#policies['soft-limit'] && !generation.saidSoft) {",
    replace: 'if (false) {',
    tests: [LIMITS],
  },
  {
    rule: 'B7',
    breaks: 'the primary is failed for the buffer’s limit',
    file: COPIER,
    search: "case 'none':\n                buffer.overflow();",
    replace: "case 'none':\n                buffer.overflow(); this.#errno = 28;",
    tests: [LIMITS],
  },
  {
    rule: 'B7',
    breaks: 'with a spill file the image is given up at the limit all the same',
    file: BUFFER,
    search: "return spills ? 'spill' : 'none';",
    replace: "return 'none';",
    tests: [VIEW, LIMITS],
  },
  {
    rule: 'B7',
    breaks: 'an image that was given up is shown on',
    file: READ,
    search: 'const errno = generation.invalid === null ? this.#errno : EIO;',
    replace: 'const errno = this.#errno;',
    tests: [TAKE_OVER],
  },
  {
    rule: 'B8',
    breaks: 'an original that could not be kept is passed over in silence',
    file: COPIER,
    search: 'this.#buffer.invalidate(',
    replace: 'void (',
    tests: [LIMITS],
  },
  {
    rule: 'B8',
    breaks: 'with on-error=fail-write the write goes on without its original',
    file: COPIER,
    search: 'if (this.#buffer.failsWritesOnError)',
    replace: 'if (this.#buffer.failsWritesOnError) return;\n        if (this.#buffer.failsWritesOnError)',
    tests: [LIMITS],
  },
  {
    rule: 'take-over',
    breaks: 'the commit passes over what the standby wrote',
    file: COMMIT,
    search: 'await this.#locks.holding(offset, (end - start) * granularity, () => this.#commitChunks(start, end));',
    replace: ';',
    tests: [VIEW, DIFFERENTIAL],
  },
  {
    rule: 'take-over',
    breaks: 'during the commit a standby write of half a chunk loses the other half',
    file: COMMIT,
    search: 'if (lastWhole < last)',
    replace: 'if (false)',
    tests: [VIEW, DIFFERENTIAL],
  },
];
