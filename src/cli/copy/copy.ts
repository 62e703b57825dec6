/** What `colobus copy` does between its command line and its last line. */

import { EBUSY, EDQUOT, EFBIG, ENOSPC, EROFS } from '../../base/errno.ts';
import { ColobusError, messageOf, UsageError } from '../../base/errors.ts';
import { formatSize } from '../../base/size.ts';
import type { BlockBackend } from '../../block/block-backend.ts';
import { READ_SHARED, READ_STABLE } from '../../block/block-edge.ts';
import { compareImages } from '../../jobs/image-comparison.ts';
import { copyImage, type ImageCopyResult } from '../../jobs/image-copy.ts';
import { commonAlignment, SideError } from '../../jobs/side.ts';
import { describePlace, End, type EndOptions, type Place, requireDifferent } from './end.ts';
import { Target } from './target.ts';

export type CopyPhase = 'copy' | 'verify';

export type CopyOptions = EndOptions & {
  /** Requests in flight. */
  readonly requests: number;
  /** Bytes of a read or write, as far as both ends take that. */
  readonly requestBytes: number;
  readonly verify: boolean;
  /** From now on the target is written to. */
  readonly onBegin: () => void;
  readonly onProgress: (phase: CopyPhase, doneBytes: number, totalBytes: number) => void;
};

/** The copy failed after it had begun; the message says what that means for the target. */
export class CopyFailure extends ColobusError {
  override readonly name = 'CopyFailure';
}

/**
 * Copies `from` to `to`, flushes and, where wanted, compares both. Throws a CopyFailure once the copy has begun; any
 * other error means that nothing was changed, and that a target which was to be created is not there.
 */
export async function copyBetween(from: Place, to: Place, options: CopyOptions): Promise<ImageCopyResult> {
  await requireDifferent(from, to);
  const permissions = options.forceShare ? READ_SHARED : READ_STABLE;
  await using source = await End.open(from, 'source', permissions, options).catch(error => explain(error, from));
  const { lengthBytes } = source.root.node;
  if (lengthBytes === 0) throw new UsageError(`The source '${describePlace(from)}' is empty; name another one`);
  await using target = await Target.open(to, lengthBytes, options).catch(error => explain(error, to, 'target'));
  const { root } = target.end;
  const requestBytes = checkFit(source.root, root, to, options);
  target.begin();
  options.onBegin();
  try {
    const { requests } = options;
    const result = await copyImage({
      source: source.root,
      target: root,
      requests,
      requestBytes,
      targetIsZero: target.isNew,
      onProgress: (done, total) => options.onProgress('copy', done, total),
    });
    await target.syncName().catch(cause => {
      throw new CopyFailure(
        `All was copied to '${describePlace(to)}', but that the file is there could not be made durable: ` +
          `${messageOf(cause)}; sync its folder`,
        { cause },
      );
    });
    if (options.verify) await verify(source.root, root, requestBytes, options);
    return result;
  } catch (error) {
    if (error instanceof SideError) throw incomplete(error, error.side === root);
    throw error;
  }
}

/** The length of reads and writes that suits both ends. Throws UsageError where the source does not fit the target. */
function checkFit(source: BlockBackend, target: BlockBackend, to: Place, options: CopyOptions): number {
  const { lengthBytes } = source.node;
  const spareBytes = target.node.lengthBytes - lengthBytes;
  if (spareBytes < 0) {
    throw new UsageError(
      `The target '${describePlace(to)}' has ${target.node.lengthBytes} bytes and the source ${lengthBytes}; ` +
        'make the target larger, or remove a file to have it created',
    );
  }
  const alignment = commonAlignment(source, target);
  if (lengthBytes % alignment !== 0) {
    throw new UsageError(
      `The source has ${lengthBytes} bytes, which are not whole blocks of the ${alignment} bytes that the servers ask for; ` +
        'export it or the target with smaller blocks',
    );
  }
  if (spareBytes > 0) {
    options.note(
      `The target is ${formatSize(spareBytes)} (${spareBytes} bytes) larger than the source; what it has there stays`,
    );
  }
  const most = Math.min(options.requestBytes, source.node.limits.maxTransferBytes, target.node.limits.maxTransferBytes);
  return Math.max(alignment, Math.floor(most / alignment) * alignment);
}

async function verify(
  source: BlockBackend,
  target: BlockBackend,
  requestBytes: number,
  options: CopyOptions,
): Promise<void> {
  const difference = await compareImages({
    one: source,
    other: target,
    requests: options.requests,
    requestBytes,
    onProgress: (done, total) => options.onProgress('verify', done, total),
  }).catch(error => {
    if (!(error instanceof SideError)) throw error;
    throw new CopyFailure(`${error.message}; all was copied and could not be verified: check the server or disk`, {
      errno: error.errno,
      cause: error,
    });
  });
  if (difference === null) return;
  throw new CopyFailure(
    `The ${target.name} differs from the source from byte ${difference} on; ` +
      'the copy is not good: find out what else writes to either of them, or whether a disk fails, and copy again',
  );
}

function incomplete(error: SideError, isTarget: boolean): CopyFailure {
  const lacksSpace = error.errno === ENOSPC || error.errno === EDQUOT || error.errno === EFBIG;
  const remedy = isTarget && lacksSpace ? 'make room for it' : `check the ${isTarget ? 'target' : 'source'}`;
  return new CopyFailure(`${error.message}; the target is incomplete: ${remedy} and copy again`, {
    errno: error.errno,
    cause: error,
  });
}

/** Says why an end could not be opened in words of this command. */
function explain(error: unknown, place: Place, role: 'source' | 'target' = 'source'): never {
  const name = describePlace(place);
  if (!(error instanceof ColobusError)) throw error;
  if (error.errno === EBUSY && place.kind === 'file') {
    const anyway = role === 'source' ? ', or copy it as it changes with --force-share' : '';
    throw new UsageError(`Image '${name}' is in use by another process; stop that first${anyway}`, { cause: error });
  }
  if (error.errno === EROFS && role === 'target') {
    throw new UsageError(`The target '${name}' is read-only; make it writable or name another one`, { cause: error });
  }
  // A node repeats what happened with its name before it, which nobody gave.
  throw error.cause instanceof ColobusError ? error.cause : error;
}
