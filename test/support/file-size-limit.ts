/** A disk that is full, for anybody: the kernel refuses a process to write beyond a size (RLIMIT_FSIZE, as EFBIG). */

import assert from 'node:assert/strict';
import { Program } from './program.ts';

/** From now on a write of process `pid` stops at `bytes` of any file: short if it begins before, else with EFBIG. */
export async function limitFileSize(pid: number, bytes: number): Promise<void> {
  await using prlimit = Program.start('prlimit', [`--pid=${pid}`, `--fsize=${bytes}:${bytes}`]);
  const { exitCode, stderr } = await prlimit.ended();
  assert.equal(exitCode, 0, stderr);
}
