/**
 * BlockGraph: the nodes of a daemon by name, added and removed at run time.
 *
 * A definition may hold definitions of children; those get made-up names unless they give one, belong to their parents
 * and go with the last of them.
 */

import { isDeepStrictEqual } from 'node:util';
import { type Clock, systemClock } from '../base/clock.ts';
import { EACCES, EPERM, EROFS } from '../base/errno.ts';
import { UsageError } from '../base/errors.ts';
import { type Logger, silentLogger } from '../base/logger.ts';
import type { BlockBackend } from './block-backend.ts';
import { BlockEdge, type EdgePermissions, RESIZE } from './block-edge.ts';
import type { BlockEventSink } from './block-event.ts';
import type { BlockNode } from './block-node.ts';
import { whileDrained } from './drain.ts';
import type { Driver, NodeDefinition, NodeReference, OpenContext } from './driver.ts';
import { DriverList } from './driver-list.ts';
import { type CommonOptions, checkCommonOptions, inheritedOptions, policyOf } from './node-options.ts';
import { type ChangedLink, NodeReopening, withFailures } from './node-reopening.ts';
import { nodesBelow } from './nodes-below.ts';

const NODE_NAME = /^[A-Za-z][A-Za-z0-9._-]{0,30}$/;

export type BlockGraphOptions = {
  readonly drivers: readonly Driver[];
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly emit?: BlockEventSink;
  /** See OpenContext. */
  readonly findObject?: (id: string) => unknown;
};

/** A node, what it was opened with, and whether it was added by name, so that it stays when nobody uses it. */
type Entry = {
  readonly node: BlockNode;
  definition: NodeDefinition;
  readonly isNamed: boolean;
  /** Ids of objects the driver asked for. */
  readonly objects: ReadonlySet<string>;
};

export class BlockGraph implements AsyncDisposable {
  readonly #drivers: DriverList;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #emit: BlockEventSink;
  readonly #findObject: (id: string) => unknown;
  readonly #entries = new Map<string, Entry>();
  /** For each change under way the nodes that it needs: nobody closes them meanwhile. */
  readonly #keptNodes = new Set<ReadonlySet<BlockNode>>();
  /** Names being opened, so that two commands at once cannot take one name. */
  readonly #opening = new Set<string>();
  #lastImplicit = 0;

  constructor(options: BlockGraphOptions) {
    this.#drivers = new DriverList(options.drivers);
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

  /** The name of the driver that `node` was added with, which may be an alias. */
  driverName(node: BlockNode): string {
    return this.#entries.get(node.name)?.definition.driver ?? node.driver;
  }

  /** The node called `name`; throws UsageError in QEMU's words where there is none: `device` is what they say of it. */
  node(name: string, device = ''): BlockNode {
    const node = this.find(name);
    if (node === undefined) throw new UsageError(`Cannot find device='${device}' nor node-name='${name}'`);
    return node;
  }

  /** Throws UsageError in QEMU's words where no node can be called `name`. */
  checkName(name: string): void {
    if (!NODE_NAME.test(name)) throw new UsageError(`Invalid node-name: '${name}'`);
    if (this.#entries.has(name) || this.#opening.has(name)) {
      throw new UsageError(`Duplicate nodes with node-name='${name}'`);
    }
  }

  /** A node that was opened with the object called `id`. */
  userOfObject(id: string): BlockNode | undefined {
    return [...this.#entries.values()].find(({ objects }) => objects.has(id))?.node;
  }

  /** Opens a node with a name of its own. Throws, having changed nothing, where the definition cannot be. */
  async add(definition: NodeDefinition): Promise<BlockNode> {
    this.#drivers.check(definition, []);
    if (definition['node-name'] === undefined) throw new UsageError("'node-name' must be specified for the root node");
    return this.#open(definition, true);
  }

  /** Removes and closes a node nobody uses, and the children that were defined with it. */
  async remove(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new UsageError(`Failed to find node with node-name='${name}'`);
    refuseUsed(entry.node);
    if (this.#isKept(entry.node)) throw new UsageError(`Node ${name} is part of a change under way; try again`);
    await this.#close(name, entry);
  }

  /** Gives `parent` another child. Throws UsageError where it takes none, ETIMEDOUT where its requests do not return. */
  async addChild(parent: BlockNode, child: BlockNode): Promise<void> {
    await this.#whileKept(new Set([parent, child]), () => this.#addChild(parent, child));
  }

  async #addChild(parent: BlockNode, child: BlockNode): Promise<void> {
    parent.linkForNewChild(child);
    await whileDrained(parent, this.#clock, () => {
      const { role, permissions } = parent.linkForNewChild(child);
      if (child.parents.size > 0) throw new UsageError(`The node ${child.name} already has a parent`);
      refuseCycle(parent, role, child);
      const edge = new BlockEdge(`node '${parent.name}'`, role, child, permissions);
      try {
        parent.addChild(edge);
      } catch (error) {
        edge.detach();
        throw error;
      }
    });
  }

  /** Takes the child called `role` away from `parent`; one that was defined with it is closed. Throws as `addChild`. */
  async removeChild(parent: BlockNode, role: string): Promise<void> {
    const edge = parent.children.get(role);
    if (edge === undefined) throw new UsageError(`Node '${parent.name}' does not have child '${role}'`);
    parent.checkChildRemoval(edge);
    await whileDrained(parent, this.#clock, () => {
      parent.checkChildRemoval(edge);
      parent.removeChild(edge);
      edge.detach();
    });
    await this.closeUnused(edge.node);
  }

  /**
   * Puts `to` in the place of `from`: all parents of `from` lead to `to` afterwards, but for the roots in `except` and
   * for what is below `to`. The roots above `from` must be drained, as `replace` does. Throws UsageError, having
   * changed nothing, where a parent cannot bear it.
   */
  replaceDrained(from: BlockNode, to: BlockNode, except: ReadonlySet<BlockBackend> = new Set()): void {
    const below = nodesBelow(to);
    const edges = [...from.parents].filter(
      edge => !(edge.backend !== null && except.has(edge.backend)) && !(edge.parent !== null && below.has(edge.parent)),
    );
    for (const edge of edges) edge.checkRetarget(to);
    for (const edge of edges) edge.retarget(to);
    for (const edge of edges) edge.parent?.relinked();
  }

  /** Drains `from` and replaces it, as `replaceDrained` does. A node without a name that nobody uses then is closed. */
  async replace(from: BlockNode, to: BlockNode, except: ReadonlySet<BlockBackend> = new Set()): Promise<void> {
    await whileDrained(from, this.#clock, () => this.replaceDrained(from, to, except));
    await this.closeUnused(from);
  }

  /** Closes `node` where nobody uses it and it was not added by name. */
  async closeUnused(node: BlockNode): Promise<void> {
    const entry = this.#entries.get(node.name);
    if (entry?.node !== node || entry.isNamed || node.parents.size > 0 || this.#isKept(node)) return;
    await this.#close(node.name, entry);
  }

  /** Nobody closes `nodes`, nor what `change` adds to them, before it has ended. */
  async #whileKept(nodes: Set<BlockNode>, change: () => Promise<void>): Promise<void> {
    this.#keptNodes.add(nodes);
    try {
      await change();
    } finally {
      this.#keptNodes.delete(nodes);
      for (const node of nodes) await this.closeUnused(node);
    }
  }

  #isKept(node: BlockNode): boolean {
    return [...this.#keptNodes].some(nodes => nodes.has(node));
  }

  /** Makes the image of `node`, which nobody may use then or meanwhile, larger. Throws UsageError, having changed nothing. */
  async resize(node: BlockNode, lengthBytes: number): Promise<void> {
    if (node.readOnly) throw new UsageError('Image is read-only');
    const edge = new BlockEdge('block_resize', 'root', node, RESIZE);
    try {
      if (lengthBytes < node.lengthBytes) {
        throw new UsageError(`Node '${node.name}' has ${node.lengthBytes} bytes and can only grow`);
      }
      await node.resize(lengthBytes);
    } finally {
      edge.detach();
    }
  }

  /**
   * Changes the options of nodes to those of `definitions`, which are complete: what is left out has its default. All
   * are changed, or none and it throws UsageError.
   */
  async reopen(definitions: readonly NodeDefinition[]): Promise<void> {
    for (const [index, definition] of definitions.entries()) this.#drivers.check(definition, ['options', index]);
    const kept = new Set<BlockNode>();
    await this.#whileKept(kept, () => this.#reopenAll(definitions, kept));
  }

  /** Adds to `kept` the nodes that it needs, also to go back. */
  async #reopenAll(definitions: readonly NodeDefinition[], kept: Set<BlockNode>): Promise<void> {
    const made: NodeReopening[] = [];
    try {
      for (const definition of definitions) {
        const reopening = this.#planReopening(definition);
        for (const node of reopening.nodes) kept.add(node);
        await reopening.make();
        made.push(reopening);
      }
    } catch (cause) {
      const failures: string[] = [];
      for (const reopening of made.reverse()) failures.push(...(await reopening.takeBack()));
      throw withFailures(cause, failures);
    }
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
    const edges = [...entry.node.children.values()];
    for (const edge of edges) edge.detach();
    for (const edge of edges) await this.closeUnused(edge.node);
  }

  /** Opens a node; read-only where it cannot be written to and need not. */
  async #open(definition: NodeDefinition, isNamed: boolean): Promise<BlockNode> {
    const driver = this.#drivers.get(definition.driver);
    const { 'read-only': readOnly, 'auto-read-only': auto = driver.isReadOnlyWithChild ?? false } = definition;
    try {
      return await this.#openAs(driver, definition, isNamed);
    } catch (error) {
      if (auto !== true || readOnly === true || !isWritingRefused(error)) throw error;
      if (readOnly === false && definition['auto-read-only'] !== true) throw error;
      return this.#openAs(driver, { ...definition, 'read-only': true }, isNamed);
    }
  }

  async #openAs(driver: Driver, definition: NodeDefinition, isNamed: boolean): Promise<BlockNode> {
    const nodeName = this.#claimName(definition['node-name']);
    const edges: BlockEdge[] = [];
    const objects = new Set<string>();
    try {
      const { common, own } = this.#drivers.parse(driver, definition);
      checkCommonOptions(common);
      const context: OpenContext = {
        nodeName,
        readOnly: common['read-only'] ?? false,
        clock: this.#clock,
        logger: this.#logger,
        emit: this.#emit,
        findObject: id => {
          objects.add(id);
          return this.#findObject(id);
        },
        attach: async (role, reference, permissions) => {
          const child = await this.#resolve(reference, common);
          try {
            const edge = new BlockEdge(`node '${nodeName}'`, role, child, permissions);
            edges.push(edge);
            return edge;
          } catch (error) {
            await this.closeUnused(child);
            throw error;
          }
        },
      };
      const node = await driver.open(own, context);
      node.policy = policyOf(node, common);
      this.#entries.set(nodeName, { node, definition, isNamed, objects });
      return node;
    } catch (error) {
      for (const edge of edges) edge.detach();
      for (const edge of edges) await this.closeUnused(edge.node);
      throw error;
    } finally {
      this.#opening.delete(nodeName);
    }
  }

  /** A child defined with its parent has options of it, unless it has its own. */
  async #resolve(reference: NodeReference, parent: CommonOptions): Promise<BlockNode> {
    if (typeof reference === 'string') return this.node(reference, reference);
    return this.#open({ ...inheritedOptions(parent), ...reference }, false);
  }

  /** What reopens one node. Throws UsageError where it cannot be. */
  #planReopening(definition: NodeDefinition): NodeReopening {
    const name = definition['node-name'];
    if (name === undefined) throw new UsageError('node-name not specified');
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new UsageError(`Failed to find node with node-name='${name}'`);
    const driver = this.#drivers.get(definition.driver);
    if (driver !== this.#drivers.get(entry.definition.driver))
      throw new UsageError("Cannot change the option 'driver'");
    const { node, definition: former } = entry;
    const wanted = this.#drivers.parse(driver, definition);
    const present = this.#drivers.parse(driver, former);
    checkCommonOptions(wanted.common);
    const commit = (): (() => void) => {
      const { policy } = node;
      node.policy = policyOf(node, wanted.common);
      entry.definition = definition;
      return () => {
        node.policy = policy;
        entry.definition = former;
      };
    };
    const links = this.#changedLinks(node, former, definition);
    const keys = changedKeys(present.own, wanted.own).filter(key => !node.children.has(key));
    const options = { keys, former: present.own, wanted: wanted.own };
    const readOnly = wanted.common['read-only'] ?? false;
    return new NodeReopening({ node, options, readOnly, links, commit }, this.#clock);
  }

  /** The children that `definition` names other nodes for. One that is given with options must be given as it was. */
  #changedLinks(node: BlockNode, former: NodeDefinition, definition: NodeDefinition): readonly ChangedLink[] {
    const changed = [];
    for (const [role, edge] of node.children) {
      const reference = definition[role];
      if (typeof reference === 'string') {
        const wanted = this.node(reference);
        if (wanted === edge.node) continue;
        refuseCycle(node, role, wanted);
        changed.push({ edge, node: wanted, former: edge.node });
      } else if (!isDeepStrictEqual(reference, former[role])) {
        throw new UsageError(`Cannot change the option '${role}'`);
      }
    }
    return changed;
  }

  #claimName(wanted: string | undefined): string {
    const name = wanted ?? `#block${(++this.#lastImplicit).toString().padStart(3, '0')}`;
    if (wanted !== undefined) this.checkName(wanted);
    this.#opening.add(name);
    return name;
  }
}

/** True where a node could not be opened because it, or what is below it, takes no writes. */
function isWritingRefused(error: unknown): boolean {
  return error instanceof UsageError && (error.errno === EROFS || error.errno === EACCES || error.errno === EPERM);
}

/** Throws UsageError where somebody uses `node`; QEMU has one text for roots and another for parents. */
function refuseUsed(node: BlockNode): void {
  const users = [...node.parents];
  const user = users.find(({ backend }) => backend !== null) ?? users[0];
  if (user === undefined) return;
  const what = user.backend === null ? 'Block device' : 'Node';
  const remedy = user.isLeftBehind ? 'wait for them; `yank` ends those of an nbd node' : 'remove that first';
  throw new UsageError(`${what} ${node.name} is in use by ${user.holder}; ${remedy}`);
}

function refuseCycle(parent: BlockNode, role: string, child: BlockNode): void {
  if (!nodesBelow(child).has(parent)) return;
  throw new UsageError(`Making '${child.name}' a ${role} child of '${parent.name}' would create a cycle`);
}

function changedKeys(former: unknown, wanted: unknown): readonly string[] {
  const [a, b] = [former, wanted] as readonly Readonly<Record<string, unknown>>[];
  const keys = new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})]);
  return [...keys].filter(key => !isDeepStrictEqual(a?.[key], b?.[key]));
}

/** Permissions of a filter's edge to the image it passes requests on to. */
export function filterPermissions(readOnly: boolean): EdgePermissions {
  return { write: !readOnly, shareWrite: readOnly };
}
