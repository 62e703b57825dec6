/** The largest values of something while something else goes on. */

import { setTimeout as pause } from 'node:timers/promises';

const EVERY_MS = 50;

/** Asks `probe` at the beginning, all the time and at the end of `action`; the largest of each of its numbers. */
export async function sampledMax<Result>(
  probe: () => Promise<readonly number[]>,
  action: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly largest: readonly number[] }> {
  let isOver = false;
  const running = action().finally(() => {
    isOver = true;
  });
  let largest = await probe();
  const look = async (): Promise<void> => {
    const now = await probe();
    largest = largest.map((most, index) => Math.max(most, now[index] as number));
  };
  while (!isOver) {
    await Promise.race([pause(EVERY_MS), running.catch(() => {})]);
    await look();
  }
  return { result: await running, largest };
}
