/** What the first bytes of an export look like to file(1). */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { NbdClient } from '../../nbd/client/nbd-client.ts';
import type { NbdClientOptions } from '../../nbd/client/open-target.ts';

const PROBED_BYTES = 8192;
const DEADLINE_MS = 5000;

/** A guess that nothing depends on: null where the bytes cannot be read or there is no file(1). */
export async function probeContent(options: NbdClientOptions): Promise<string | null> {
  try {
    return await describeBytes(await firstBytes(options));
  } catch {
    return null;
  }
}

async function firstBytes(options: NbdClientOptions): Promise<Buffer> {
  await using client = await NbdClient.connect(options);
  return await client.read(0, Math.min(client.sizeBytes, PROBED_BYTES));
}

async function describeBytes(bytes: Buffer): Promise<string | null> {
  const child = spawn('file', ['--brief', '-'], { stdio: ['pipe', 'pipe', 'ignore'], timeout: DEADLINE_MS });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  // It may close its input before it has read all.
  child.stdin.on('error', () => {});
  child.stdin.end(bytes);
  const [exitCode] = await once(child, 'close');
  return exitCode === 0 && output !== '' ? output.trimEnd() : null;
}
