/** `npm run bench -- [GROUP…] [--json] [--rounds N] [--seconds N] [--dir DIR]`: measures, compares with the peers, holds against the targets. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inspect, parseArgs } from 'node:util';
import { messageOf, UsageError } from '../src/base/errors.ts';
import { projectRoot } from '../test/support/project.ts';
import type { BenchmarkGroup } from './benchmark-group.ts';
import {
  type BenchmarkResult,
  type GroupFailure,
  judge,
  type Measurement,
  type Row,
  summarize,
  type Target,
} from './benchmark-result.ts';
import { groups } from './groups/index.ts';
import { describeMachine, describeVersions } from './machine.ts';
import { renderPlot } from './result-plot.ts';
import { resultTable } from './result-table.ts';

const DEFAULT_ROUNDS = 3;
const DEFAULT_SECONDS = 5;
const MEMORY = '/dev/shm';

type Settings = {
  readonly chosen: readonly BenchmarkGroup[];
  readonly json: boolean;
  readonly rounds: number;
  readonly seconds: number;
  /** Where the disks are; null for memory. */
  readonly dir: string | null;
};

async function main(args: string[]): Promise<number> {
  try {
    const settings = parseSettings(args);
    const result = await measure(settings);
    const file = await save(result);
    if (!settings.json) process.stdout.write(`\n${resultTable(result)}\n\n${file}\n`);
    else process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.failures.length === 0 && result.targets.every(target => target.met) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function parseSettings(args: string[]): Settings {
  const { values, positionals } = parse(args);
  const chosen = positionals.map(name => {
    const group = groups.find(candidate => candidate.name === name);
    if (group !== undefined) return group;
    throw new UsageError(`No group '${name}'; there is ${groups.map(({ name }) => name).join(', ')}`);
  });
  return {
    chosen: chosen.length === 0 ? groups : chosen,
    json: values.json ?? false,
    rounds: positiveNumber(values.rounds, DEFAULT_ROUNDS, '--rounds'),
    seconds: positiveNumber(values.seconds, DEFAULT_SECONDS, '--seconds'),
    dir: values.dir === undefined ? null : resolve(values.dir),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        dir: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
}

function positiveNumber(text: string | undefined, otherwise: number, option: string): number {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`${option} '${text}' is not a whole number from 1 on`);
}

/** Runs the groups one after the other; one that fails does not take the figures of the others with it. */
async function measure(settings: Settings): Promise<BenchmarkResult> {
  const { chosen, rounds, seconds, dir } = settings;
  const versions = describeVersions();
  const rows: Row[] = [];
  const targets: Target[] = [];
  const failures: GroupFailure[] = [];
  for (const group of chosen) {
    try {
      const measured = summarize(await runGroup(group, { rounds, seconds, dir }));
      rows.push(...measured);
      targets.push(...judge(measured, group.promises));
      await savePlot(group, measured, settings);
    } catch (error) {
      failures.push({ group: group.name, reason: messageOf(error) });
      process.stderr.write(`${group.name}: ${inspect(error)}\n`);
    }
  }
  return {
    group: chosen.map(({ name }) => name).join(' '),
    machine: describeMachine(dir ?? MEMORY),
    versions,
    rounds,
    seconds,
    rows,
    targets,
    failures,
  };
}

/** One group in folders of its own. */
async function runGroup(
  group: BenchmarkGroup,
  { rounds, seconds, dir }: Pick<Settings, 'rounds' | 'seconds' | 'dir'>,
): Promise<Measurement[]> {
  const folders: string[] = [];
  const createFolder = async (parent: string): Promise<string> => {
    const folder = await mkdtemp(join(parent, 'colobus-bench-'));
    folders.push(folder);
    return folder;
  };
  try {
    const workDirectory = await createFolder(tmpdir());
    const diskDirectory = await createFolder(dir ?? MEMORY);
    const realDirectory = await createFolder(dir ?? tmpdir());
    const report = (line: string) => void process.stderr.write(`${group.name}: ${line}\n`);
    return await group.run({ rounds, seconds, diskDirectory, realDirectory, workDirectory, report });
  } finally {
    for (const folder of folders) await rm(folder, { recursive: true });
  }
}

/** Writes `bench/results/LATEST.json` and returns its path. */
async function save(result: BenchmarkResult): Promise<string> {
  const file = join(await resultsFolder(), 'LATEST.json');
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
  return file;
}

/** Writes `bench/results/GROUP.svg`. */
async function savePlot({ name, summary }: BenchmarkGroup, rows: readonly Row[], settings: Settings): Promise<void> {
  const { cpu, cores, kernel, disks } = describeMachine(settings.dir ?? MEMORY);
  const where = `${cpu}, ${cores} cores, Linux ${kernel}, disks in ${disks}`;
  const caption = `group ${name}: median and range, rounds: ${settings.rounds}; ${where}`;
  await writeFile(join(await resultsFolder(), `${name}.svg`), renderPlot(summary, caption, rows));
}

async function resultsFolder(): Promise<string> {
  const folder = join(projectRoot, 'bench/results');
  await mkdir(folder, { recursive: true });
  return folder;
}

process.exitCode = await main(process.argv.slice(2));
