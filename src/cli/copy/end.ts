/** An end of a copy: what FROM or TO names, and the node that it is opened as. */

import { stat } from 'node:fs/promises';
import { UsageError } from '../../base/errors.ts';
import { silentLogger } from '../../base/logger.ts';
import { BlockBackend } from '../../block/block-backend.ts';
import type { EdgePermissions } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import type { NodeDefinition } from '../../block/driver.ts';
import { Hurry } from '../../block/hurry.ts';
import { fileDriver } from '../../drivers/file/file-driver.ts';
import { nbdDriver } from '../../drivers/nbd/nbd-node.ts';
import { loadTlsSession } from '../../nbd/client/tls-session.ts';
import { formatNbdUri, type NbdAddress, type NbdUri } from '../../nbd/uri.ts';
import { type ClientTlsOptions, looksLikeNbdUri, parseUris } from '../client-tls.ts';

export type Place = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'nbd'; readonly uri: NbdUri };

export type EndOptions = {
  /** Connections to a server that allows several. */
  readonly connections: number;
  /** Longest wait for an answer of a server; ten times that for a flush. */
  readonly timeoutSeconds: number;
  readonly forceShare: boolean;
  /** Tells the user something in a sentence. */
  readonly note: (text: string) => void;
};

/** Of a flush, which waits for all that a server's disk has not written yet. */
const FLUSH_FACTOR = 10;

/** The places that `texts` name. Throws UsageError where one is neither an NBD URI nor a path. */
export function placesOf(
  [from, to]: readonly [from: string, to: string],
  tls: ClientTlsOptions,
): readonly [from: Place, to: Place] {
  const uris = [...parseUris([from, to].filter(looksLikeNbdUri), tls)];
  const placeOf = (text: string): Place => {
    const uri = looksLikeNbdUri(text) ? uris.shift() : undefined;
    if (uri !== undefined) return { kind: 'nbd', uri };
    if (text === '' || text === '-') {
      throw new UsageError(`'${text}' is no image; name a file, a block device or an NBD URI`);
    }
    return { kind: 'file', path: text };
  };
  return [placeOf(from), placeOf(to)];
}

/** For people: a path, or the URI without the files of its TLS. */
export function describePlace(place: Place): string {
  if (place.kind === 'file') return place.path;
  const { address, exportName, tls } = place.uri;
  return formatNbdUri({ address, exportName, tls });
}

/** Throws UsageError where both places are one image, as far as that can be seen. */
export async function requireDifferent(from: Place, to: Place): Promise<void> {
  const isSame =
    from.kind === 'nbd' ? to.kind === 'nbd' && isSameExport(from.uri, to.uri) : await isSameFile(from.path, to);
  if (isSame) throw new UsageError(`'${describePlace(from)}' would be copied to itself; name another target`);
}

function isSameExport(one: NbdUri, other: NbdUri): boolean {
  const place = (address: NbdAddress, name: string): string => JSON.stringify([address, name]);
  return place(one.address, one.exportName) === place(other.address, other.exportName);
}

async function isSameFile(path: string, other: Place): Promise<boolean> {
  if (other.kind !== 'file') return false;
  const [one, two] = await Promise.all([path, other.path].map(each => stat(each).catch(() => null)));
  if (one === null || two === null || one === undefined || two === undefined) return false;
  if (one.isBlockDevice() && two.isBlockDevice()) return one.rdev === two.rdev;
  return one.dev === two.dev && one.ino === two.ino;
}

/** An image in use. Disposing it gives up what is still under way and closes it. */
export class End implements AsyncDisposable {
  readonly root: BlockBackend;
  readonly #graph: BlockGraph;

  private constructor(graph: BlockGraph, root: BlockBackend) {
    this.#graph = graph;
    this.root = root;
  }

  /** Opens `place` as a node called `role`. Throws, with nothing left open, where it cannot be used so. */
  static async open(
    place: Place,
    role: 'source' | 'target',
    permissions: EdgePermissions,
    options: EndOptions,
  ): Promise<End> {
    const { definition, objects } = await define(place, options);
    // Of a lost connection the error of the copy tells.
    const warn = (_fields: object, message: string): void => options.note(`${message} (${describePlace(place)})`);
    const logger = place.kind === 'file' ? { ...silentLogger, warn } : silentLogger;
    const graph = new BlockGraph({ drivers: [fileDriver, nbdDriver], findObject: id => objects.get(id), logger });
    try {
      const node = await graph.add({ ...definition, 'node-name': role, 'read-only': !permissions.write });
      return new End(graph, new BlockBackend(`${role} '${describePlace(place)}'`, node, permissions));
    } catch (error) {
      await graph[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.root.close();
    if (this.root.inFlight > 0) this.root.node.abandon('the copy has ended');
    new Hurry().add(this.root.node);
    await this.root.idle();
    this.root.detach();
    await this.#graph[Symbol.asyncDispose]();
  }
}

type Defined = { readonly definition: NodeDefinition; readonly objects: ReadonlyMap<string, unknown> };

async function define(place: Place, options: EndOptions): Promise<Defined> {
  if (place.kind === 'file') {
    return {
      definition: { driver: 'file', filename: place.path, aio: 'threads', 'force-share': options.forceShare },
      objects: new Map(),
    };
  }
  const { address, exportName, tls, tlsParameters } = place.uri;
  const { kind, ...where } = address;
  const timeoutMs = options.timeoutSeconds * 1000;
  const definition = {
    driver: 'nbd',
    server: { type: kind, ...where },
    export: exportName,
    connections: options.connections,
    'request-timeout': timeoutMs,
    'flush-timeout': FLUSH_FACTOR * timeoutMs,
  };
  if (!tls) return { definition, objects: new Map() };
  const { credentials, hostname } = await loadTlsSession(tlsParameters ?? {}, address);
  return {
    definition: { ...definition, 'tls-creds': 'tls', ...(hostname === null ? {} : { 'tls-hostname': hostname }) },
    objects: new Map([['tls', credentials]]),
  };
}
