/** Runs rounds of a fuzzer from a seed on, until the time is up or something is found. */

import { inspect } from 'node:util';
import { ClientFuzzer } from './client-round.ts';
import { ServerFuzzer } from './server-round.ts';

export const TARGETS = ['server', 'client'] as const;
export type FuzzTarget = (typeof TARGETS)[number];

export type FuzzOptions = {
  readonly seed: number;
  /** For all targets together. */
  readonly milliseconds: number;
  readonly targets: readonly FuzzTarget[];
};

export type FuzzOutcome = {
  readonly target: FuzzTarget;
  readonly rounds: number;
  /** What went wrong, with the seed of its round; null where nothing did. */
  readonly failure: string | null;
};

interface Fuzzer extends AsyncDisposable {
  round(seed: number): Promise<void>;
}

/** Where a fuzzer starts over with a fresh server, and with the other way of receiving. */
const ROUNDS_PER_SERVER = 200;

export async function fuzz({ seed, milliseconds, targets }: FuzzOptions): Promise<FuzzOutcome[]> {
  const outcomes: FuzzOutcome[] = [];
  for (const target of targets) outcomes.push(await fuzzTarget(target, seed, milliseconds / targets.length));
  return outcomes;
}

async function fuzzTarget(target: FuzzTarget, seed: number, milliseconds: number): Promise<FuzzOutcome> {
  const endMs = performance.now() + milliseconds;
  let stray: unknown = null;
  const note = (error: unknown): void => {
    stray ??= error;
  };
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  let rounds = 0;
  try {
    while (performance.now() < endMs) {
      await using fuzzer = await open(target, rounds);
      for (let left = ROUNDS_PER_SERVER; left > 0 && performance.now() < endMs; left--) {
        const roundSeed = (seed + rounds) >>> 0;
        rounds += 1;
        const failure = await fuzzer.round(roundSeed).then(
          () => stray,
          error => error,
        );
        if (failure !== null) return { target, rounds, failure: `seed ${roundSeed}: ${inspect(failure)}` };
      }
    }
    return { target, rounds, failure: null };
  } finally {
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  }
}

async function open(target: FuzzTarget, rounds: number): Promise<Fuzzer> {
  if (target === 'client') return new ClientFuzzer();
  return await ServerFuzzer.open((rounds / ROUNDS_PER_SERVER) % 2 === 0 ? 'in-place' : 'copy');
}
