/** The TCP port that another process listens on, where the kernel chose it (proc(5), /proc/net/tcp). */

import { readdir, readFile, readlink } from 'node:fs/promises';
import { ColobusError } from '../../src/base/errors.ts';

/** State of a listening socket in /proc/net/tcp. */
const LISTEN = '0A';

/** The one port of IPv4 that process `pid` listens on; throws where there is none or more than one. */
export async function listeningPort(pid: number): Promise<number> {
  const owned = new Set(await socketInodes(pid));
  const [, ...lines] = (await readFile(`/proc/${pid}/net/tcp`, 'latin1')).trim().split('\n');
  const ports = lines.flatMap(line => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === LISTEN && owned.has(inode) ? [Number.parseInt(local.slice(local.indexOf(':') + 1), 16)] : [];
  });
  const [port] = ports;
  if (port !== undefined && ports.length === 1) return port;
  throw new ColobusError(`Process ${pid} listens on ${ports.length} TCP ports of IPv4, not on one`);
}

async function socketInodes(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all((await readdir(folder)).map(fd => readlink(`${folder}/${fd}`).catch(() => '')));
  return targets.flatMap(target => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}
