/** The servers that docs/nbd-peers.md compares, each with a sparse image of its own. */

import { execFile } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { NbdPeer } from '../../test/support/nbd-peer.ts';
import { Program } from '../../test/support/program.ts';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { PROBE_BYTES } from './questions.ts';

const run = promisify(execFile);

type ProbedServer = {
  readonly name: string;
  /** Starts the server, gives its URI to `use`, and ends it. */
  readonly serve: <T>(use: (uri: string) => Promise<T>) => Promise<T>;
};

export const SERVERS: readonly ProbedServer[] = [
  { name: 'Colobus', serve: serveColobus },
  {
    name: 'nbdkit file',
    serve: async use => {
      await using folder = await TemporaryFolder.create();
      await emptyImage(folder.file('image'));
      await using peer = await NbdPeer.nbdkit('file', folder.file('image'));
      return await use(peer.uri());
    },
  },
  {
    name: 'qemu-nbd',
    serve: async use => {
      await using peer = await NbdPeer.qemuNbd(emptyImage);
      return await use(peer.uri());
    },
  },
  {
    name: 'nbd-server',
    serve: async use => {
      await using peer = await NbdPeer.nbdServer(emptyImage, ['flush = true', 'fua = true', 'trim = true']);
      return await use(peer.uri('disk'));
    },
  },
];

/** Runs `colobus serve` on an empty image. */
export async function serveColobus<T>(use: (uri: string) => Promise<T>): Promise<T> {
  await using folder = await TemporaryFolder.create();
  const image = folder.file('image');
  await emptyImage(image);
  await using program = Program.colobus(['serve', '--socket', folder.file('socket'), image]);
  return await use(await program.firstLine());
}

async function emptyImage(path: string): Promise<void> {
  await writeFile(path, '');
  await truncate(path, PROBE_BYTES);
}

/** The versions of the peers, for the head of the document. */
export async function peerVersions(): Promise<readonly string[]> {
  const versions = [];
  for (const program of ['nbdkit', 'qemu-nbd', 'nbd-server']) {
    const { stdout, stderr } = await run(program, [program === 'nbd-server' ? '-V' : '--version']).catch(
      ended => ended,
    );
    versions.push(`${program} ${/\d+\.\d+(?:\.\d+)?/.exec(`${stdout}${stderr}`)?.[0] ?? '(unknown version)'}`);
  }
  return versions;
}
