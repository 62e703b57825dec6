/**
 * BlockGraph: the nodes of a daemon by name, added and removed at run time.
 *
 * A definition may hold definitions of children; those get made-up names, belong to their parent and go with it.
 */

import * as z from 'zod';
import { type Clock, systemClock } from '../base/clock.ts';
import { UsageError } from '../base/errors.ts';
import { type Logger, silentLogger } from '../base/logger.ts';
import { BlockEdge, type EdgePermissions } from './block-edge.ts';
import type { BlockEventSink } from './block-event.ts';
import type { BlockNode } from './block-node.ts';
import type { Driver, NodeDefinition, NodeReference, OpenContext } from './driver.ts';
import { explainOptions } from './explain-options.ts';

/** Options every driver takes; the ones beyond `read-only` are accepted as QEMU's scripts give them. */
const COMMON_OPTIONS = {
  driver: z.string(),
  'node-name': z.string().optional(),
  'read-only': z.boolean().optional(),
  'auto-read-only': z.boolean().optional(),
  discard: z.enum(['ignore', 'unmap']).optional(),
  cache: z.looseObject({}).optional(),
  'detect-zeroes': z.enum(['off', 'on', 'unmap']).optional(),
};

const NODE_NAME = /^[A-Za-z][A-Za-z0-9._-]{0,30}$/;

export type BlockGraphOptions = {
  readonly drivers: readonly Driver[];
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly emit?: BlockEventSink;
  /** See OpenContext. */
  readonly findObject?: (id: string) => unknown;
};

/** A node and what was made with it. */
type Entry = { readonly node: BlockNode; readonly edges: readonly BlockEdge[]; readonly owned: readonly string[] };

export class BlockGraph implements AsyncDisposable {
  readonly #drivers = new Map<string, Driver>();
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #emit: BlockEventSink;
  readonly #findObject: (id: string) => unknown;
  readonly #entries = new Map<string, Entry>();
  /** Names being opened, so that two commands at once cannot take one name. */
  readonly #opening = new Set<string>();
  #lastImplicit = 0;

  constructor(options: BlockGraphOptions) {
    for (const driver of options.drivers) {
      for (const name of [driver.name, ...(driver.aliases ?? [])]) this.#drivers.set(name, driver);
    }
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#emit = options.emit ?? (() => {});
    this.#findObject = options.findObject ?? (() => undefined);
  }

  nodes(): readonly BlockNode[] {
    return [...this.#entries.values()].map(entry => entry.node);
  }

  find(name: string): BlockNode | undefined {
    return this.#entries.get(name)?.node;
  }

  /** The node called `name`; throws UsageError in QEMU's words where there is none. */
  node(name: string): BlockNode {
    const node = this.find(name);
    if (node === undefined) throw new UsageError(`Cannot find device='' nor node-name='${name}'`);
    return node;
  }

  /** Opens a node with a name of its own. Throws, having changed nothing, where the definition cannot be. */
  async add(definition: NodeDefinition): Promise<BlockNode> {
    if (definition['node-name'] === undefined) throw new UsageError("'node-name' must be specified for the root node");
    return this.#open(definition);
  }

  /** Removes and closes a node nobody uses, and the children that were defined with it. */
  async remove(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new UsageError(`Failed to find node with node-name='${name}'`);
    const [user] = entry.node.parents;
    if (user !== undefined) throw new UsageError(`Node ${name} is in use by ${user.holder}; remove that first`);
    await this.#close(name, entry);
  }

  /** Closes all nodes, parents before children. The roots must be gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (;;) {
      const free = [...this.#entries].find(([, entry]) => entry.node.parents.size === 0);
      if (free === undefined) return;
      await this.#close(...free);
    }
  }

  async #close(name: string, entry: Entry): Promise<void> {
    this.#entries.delete(name);
    await entry.node[Symbol.asyncDispose]();
    for (const edge of entry.edges) edge.detach();
    for (const owned of entry.owned) {
      const child = this.#entries.get(owned);
      if (child !== undefined && child.node.parents.size === 0) await this.#close(owned, child);
    }
  }

  async #open(definition: NodeDefinition): Promise<BlockNode> {
    const driver = this.#drivers.get(definition.driver);
    if (driver === undefined) {
      throw new UsageError(`Unknown driver '${definition.driver}'; known are ${[...this.#drivers.keys()].join(', ')}`);
    }
    const nodeName = this.#claimName(definition['node-name']);
    const edges: BlockEdge[] = [];
    const owned: string[] = [];
    try {
      const { common, own } = this.#parse(driver, definition);
      const context: OpenContext = {
        nodeName,
        readOnly: common['read-only'] ?? false,
        clock: this.#clock,
        logger: this.#logger,
        emit: this.#emit,
        findObject: this.#findObject,
        attach: async (role, reference, permissions) => {
          const child = await this.#resolve(reference, context.readOnly, owned);
          const edge = new BlockEdge(`node '${nodeName}'`, role, child, permissions);
          edges.push(edge);
          return edge;
        },
      };
      const node = await driver.open(own, context);
      this.#entries.set(nodeName, { node, edges, owned });
      return node;
    } catch (error) {
      for (const edge of edges) edge.detach();
      for (const name of owned) {
        const child = this.#entries.get(name);
        if (child !== undefined) await this.#close(name, child);
      }
      throw error;
    } finally {
      this.#opening.delete(nodeName);
    }
  }

  /** A child defined with its parent is read-only with it, unless it says otherwise. */
  async #resolve(reference: NodeReference, readOnly: boolean, owned: string[]): Promise<BlockNode> {
    if (typeof reference === 'string') return this.node(reference);
    const child = await this.#open(readOnly ? { 'read-only': true, ...reference } : reference);
    owned.push(child.name);
    return child;
  }

  #claimName(wanted: string | undefined): string {
    const name = wanted ?? `#block${(++this.#lastImplicit).toString().padStart(3, '0')}`;
    if (wanted !== undefined && !NODE_NAME.test(wanted)) throw new UsageError(`Invalid node-name: '${wanted}'`);
    if (this.#entries.has(name) || this.#opening.has(name)) {
      throw new UsageError(`Duplicate nodes with node-name='${name}'`);
    }
    this.#opening.add(name);
    return name;
  }

  #parse<Options>(
    driver: Driver<Options>,
    definition: NodeDefinition,
  ): { common: { 'read-only'?: boolean | undefined }; own: Options } {
    const isCommon = (key: string): boolean => Object.hasOwn(COMMON_OPTIONS, key);
    const split = (common: boolean): object =>
      Object.fromEntries(Object.entries(definition).filter(([key]) => isCommon(key) === common));
    const common = z.strictObject(COMMON_OPTIONS).safeParse(split(true), { reportInput: true });
    if (!common.success) throw new UsageError(explainOptions(common.error));
    const own = driver.options.safeParse(split(false), { reportInput: true });
    if (!own.success) throw new UsageError(explainOptions(own.error));
    return { common: common.data, own: own.data };
  }
}

/** Permissions of a filter's edge to the image it passes requests on to. */
export function filterPermissions(readOnly: boolean): EdgePermissions {
  return { write: !readOnly, shareWrite: readOnly };
}
