/** `colobus copy`: copies an image between files, block devices and NBD servers. */

import { Command } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { deferred } from '../../base/deadline.ts';
import { UsageError } from '../../base/errors.ts';
import { formatSize, parseSize } from '../../base/size.ts';
import type { ImageCopyResult } from '../../jobs/image-copy.ts';
import { MAX_CONNECTIONS } from '../../nbd/client/connection-group.ts';
import { addClientTlsOptions, type ClientTlsOptions } from '../client-tls.ts';
import { CliError } from '../report-error.ts';
import { CopyFailure, type CopyOptions, copyBetween } from './copy.ts';
import { placesOf } from './end.ts';
import { ProgressDisplay } from './progress-display.ts';
import { CopyProgress } from './progress-line.ts';

const MAX_REQUESTS = 1024;
const MIN_REQUEST_BYTES = 4096;
const MAX_REQUEST_BYTES = 32 * 1024 ** 2;
/** Memory for what is in flight. */
const MAX_BUFFER_BYTES = 1024 ** 3;
const MAX_TIMEOUT_SECONDS = 3600;
const SEE_HELP = "see 'colobus copy --help'";

type CommandOptions = ClientTlsOptions & {
  readonly connections: string;
  readonly requests: string;
  readonly requestSize: string;
  readonly timeout: string;
  readonly forceShare?: true;
  readonly verify?: true;
  readonly progress?: true;
};

type Limits = Pick<CopyOptions, 'connections' | 'requests' | 'requestBytes' | 'timeoutSeconds'>;

export function copyCommand(): Command {
  const command = new Command('copy')
    .summary('copy an image between files, block devices and NBD servers')
    .description(
      'Copies FROM to TO. Each is a raw image file, a block device or an NBD URI, nbd://HOST[:PORT]/EXPORT or ' +
        'nbd+unix:///EXPORT?socket=PATH; nbds and nbds+unix ask for TLS. A file TO that does not exist is created; ' +
        'one that is smaller than FROM is refused. Holes and zeroes stay holes where TO can have them. When the ' +
        'command is done without an error, all has been flushed.',
    )
    .argument('<from>', 'image file, block device or NBD URI to read')
    .argument('<to>', 'image file, block device or NBD URI to write')
    .option('--verify', 'read both afterwards and compare them')
    .option('--force-share', 'read FROM even while another process writes to it')
    .option('--progress', 'show progress even where stderr is no terminal')
    .option('--connections <n>', `connections to a server that allows several, 1 to ${MAX_CONNECTIONS}`, '4')
    .option('--requests <n>', `requests in flight, 1 to ${MAX_REQUESTS}`, '16')
    .option('--request-size <size>', 'bytes of a request, with K or M: 4K to 32M', '512K')
    .option('--timeout <seconds>', 'longest wait for an answer of a server; for the flush at the end ten times', '30');
  return addClientTlsOptions(command).action(async (from: string, to: string, options: CommandOptions) => {
    await copy(from, to, options);
  });
}

const INCOMPLETE = 'the target is incomplete';
const NOT_BEGUN = 'nothing was written, though a target that was to be created may be left empty';

async function copy(from: string, to: string, options: CommandOptions): Promise<void> {
  const startMs = systemClock.nowMs();
  const progress = new CopyProgress(() => systemClock.nowMs());
  using display = options.progress || process.stderr.isTTY ? new ProgressDisplay(process.stderr, progress) : null;
  let hasBegun = false;
  const work = async (): Promise<ImageCopyResult> => {
    try {
      return await copyBetween(...placesOf([from, to], options), {
        ...limitsOf(options),
        forceShare: options.forceShare === true,
        verify: options.verify === true,
        note: text => (display === null ? process.stderr.write(`${text}\n`) : display.note(text)),
        onBegin: () => {
          hasBegun = true;
        },
        onProgress: (phase, done, total) => progress.update(phase, done, total),
      });
    } catch (cause) {
      throw new CliError(cause, 'colobus copy', SEE_HELP, cause instanceof CopyFailure ? 1 : 2);
    }
  };
  const result = await unlessInterrupted(work, () => (hasBegun ? INCOMPLETE : NOT_BEGUN));
  process.stdout.write(`${summary(result, systemClock.nowMs() - startMs, options.verify === true)}\n`);
}

function limitsOf(options: CommandOptions): Limits {
  const limits = {
    connections: wholeNumber(options.connections, '--connections', MAX_CONNECTIONS),
    requests: wholeNumber(options.requests, '--requests', MAX_REQUESTS),
    requestBytes: parseSize(options.requestSize, '--request-size'),
    timeoutSeconds: wholeNumber(options.timeout, '--timeout', MAX_TIMEOUT_SECONDS),
  };
  const { requests, requestBytes } = limits;
  if (requestBytes % MIN_REQUEST_BYTES !== 0 || requestBytes < MIN_REQUEST_BYTES || requestBytes > MAX_REQUEST_BYTES) {
    throw new UsageError(`--request-size '${options.requestSize}' is not a multiple of 4K up to 32M; give one`);
  }
  if (requests * requestBytes > MAX_BUFFER_BYTES) {
    throw new UsageError(
      `${requests} requests of ${formatSize(requestBytes)} take more memory than ${formatSize(MAX_BUFFER_BYTES)}; ` +
        'lower --requests or --request-size',
    );
  }
  return limits;
}

function wholeNumber(text: string, option: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most)
    throw new UsageError(`${option} '${text}' is not a number from 1 to ${most}; give one`);
  return value;
}

/**
 * Runs `work`. A signal ends the command without waiting for anything: unlike a daemon that has ended in order, a copy
 * that was not finished has failed. `state` says what it leaves.
 */
async function unlessInterrupted<T>(work: () => Promise<T>, state: () => string): Promise<T> {
  const interruption = deferred<never>();
  const onSignal = (): void => {
    interruption.reject(new CliError(`The copy was interrupted; ${state()}: copy again`, 'colobus copy', SEE_HELP, 1));
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await Promise.race([work(), interruption.promise]);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

function summary({ totalBytes, dataBytes }: ImageCopyResult, elapsedMs: number, isVerified: boolean): string {
  const seconds = Math.max(elapsedMs, 1) / 1000;
  const rate = formatSize(Math.round(totalBytes / seconds));
  const zeroes = totalBytes - dataBytes;
  return (
    `Copied ${formatSize(totalBytes)} (${formatSize(dataBytes)} of data, ${formatSize(zeroes)} of zeroes) ` +
    `in ${seconds.toFixed(1)} s, ${rate}/s${isVerified ? ', and verified it' : ''}`
  );
}
