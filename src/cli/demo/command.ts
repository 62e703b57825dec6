/** `colobus demo`: a replicated disk on two processes, one of which dies, for people to watch and programs to check. */

import { Command } from 'commander';
import { UsageError } from '../../base/errors.ts';
import { parseSize } from '../../base/size.ts';
import { CliError } from '../report-error.ts';
import { BLOCK_BYTES } from './block-stamp.ts';
import { type DemoOptions, ROUNDS, runDemo } from './demo.ts';
import { demoReport, reportTable } from './demo-report.ts';
import { createDisplay } from './display.ts';
import { isGood, type RoundResult } from './round.ts';

const MIN_SIZE_BYTES = 1024 ** 2;
const MAX_SIZE_BYTES = 64 * 1024 ** 3;
const MIN_SECONDS = 1;
const MAX_SECONDS = 600;

type CommandOptions = {
  readonly json?: true;
  readonly size: string;
  readonly seconds: string;
  readonly keep?: string;
};

export function demoCommand(): Command {
  return new Command('demo')
    .summary('see a replicated disk survive the death of its primary')
    .description(
      'Starts two storage-daemon processes on temporary images, writes to the replicated disk, takes checkpoints, ' +
        'kills the primary, takes over, and verifies the raw image of the standby block by block: once with image ' +
        'latest, once with image checkpoint.',
    )
    .option('--json', 'print the results as one line of JSON')
    .option('--size <size>', 'size of the disk: a multiple of 4K, with K, M or G', '256M')
    .option('--seconds <n>', 'how long each round writes', '8')
    .option('--keep <dir>', 'leave the images and journal.jsonl in a folder')
    .action(async (options: CommandOptions) => {
      await demo(options);
    });
}

async function demo(options: CommandOptions): Promise<void> {
  const [sizeBytes, seconds] = checked(options);
  const results = await interruptible(async signal => {
    using display = createDisplay(process.stderr, ROUNDS.length);
    return await runDemo({ sizeBytes, seconds, keep: options.keep ?? null, display, signal });
  });
  if (results === null) return;
  const output = options.json ? JSON.stringify(demoReport(results, options.keep ?? null)) : reportTable(results);
  process.stdout.write(`${output}\n`);
  if (!results.every(isGood)) {
    throw new CliError('The take-over did not hold what it promises', 'colobus demo', 'look at it with --keep DIR', 1);
  }
}

/** Throws a CliError before anything is started. */
function checked({ size, seconds }: CommandOptions): readonly [sizeBytes: number, seconds: number] {
  try {
    const sizeBytes = parseSize(size, '--size');
    if (sizeBytes % BLOCK_BYTES !== 0 || sizeBytes < MIN_SIZE_BYTES || sizeBytes > MAX_SIZE_BYTES) {
      throw new UsageError(`--size '${size}' is not a multiple of 4K from 1M to 64G; give one such as 256M`);
    }
    const count = /^\d+(\.\d+)?$/.test(seconds) ? Number(seconds) : Number.NaN;
    if (!(count >= MIN_SECONDS && count <= MAX_SECONDS)) {
      throw new UsageError(`--seconds '${seconds}' is not a number from ${MIN_SECONDS} to ${MAX_SECONDS}; give one`);
    }
    return [sizeBytes, count];
  } catch (cause) {
    throw new CliError(cause, 'colobus demo', "see 'colobus demo --help'");
  }
}

/**
 * Runs `work`; the first SIGINT, SIGTERM or SIGHUP makes it end in order, and null is returned. A second one ends the
 * program at once; the hosts and the temporary files go in any case.
 */
async function interruptible(
  work: (signal: DemoOptions['signal']) => Promise<readonly RoundResult[]>,
): Promise<readonly RoundResult[] | null> {
  const interruption = new AbortController();
  const onSignal = (): void => {
    if (interruption.signal.aborted) process.exit(1);
    interruption.abort();
  };
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(interruption.signal);
  } catch (cause) {
    if (!interruption.signal.aborted) {
      const exitCode = cause instanceof UsageError ? 2 : 1;
      throw new CliError(cause, 'colobus demo', 'run it again with --log-level debug', exitCode);
    }
    process.stderr.write('The demo was interrupted: both hosts are stopped, and nothing was verified\n');
    return null;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}
