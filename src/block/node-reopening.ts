/** NodeReopening: one node's change to other options and children, which can be taken back. */

import type { Clock } from '../base/clock.ts';
import { ColobusError, messageOf } from '../base/errors.ts';
import type { BlockEdge } from './block-edge.ts';
import type { BlockNode } from './block-node.ts';
import { whileDrained } from './drain.ts';

/** An edge that is to lead to `node` in place of `former`. */
export type ChangedLink = { readonly edge: BlockEdge; readonly node: BlockNode; readonly former: BlockNode };

/** Options of the driver that change, with all of its options before and after. */
export type ChangedOptions = { readonly keys: readonly string[]; readonly former: unknown; readonly wanted: unknown };

export type ReopeningPlan = {
  readonly node: BlockNode;
  readonly options: ChangedOptions;
  readonly readOnly: boolean;
  readonly links: readonly ChangedLink[];
  /** Makes what of the change is not the node's own, and returns what takes it back. Throws nothing. */
  readonly commit: () => () => void;
};

export class NodeReopening {
  readonly #plan: ReopeningPlan;
  readonly #clock: Clock;
  /** What takes back the steps that were made, the first first. */
  readonly #undo: (() => unknown)[] = [];

  constructor(plan: ReopeningPlan, clock: Clock) {
    this.#plan = plan;
    this.#clock = clock;
  }

  /** The node, the children that it leads to and those that it is to lead to. */
  get nodes(): readonly BlockNode[] {
    return [this.#plan.node, ...this.#plan.links.flatMap(({ node, former }) => [former, node])];
  }

  /** Makes the change while the node is drained: all of it, or nothing and throws. */
  async make(): Promise<void> {
    await whileDrained(this.#plan.node, this.#clock, async () => {
      for (const { edge, node } of this.#plan.links) edge.checkRetarget(node);
      try {
        await this.#makeSteps();
      } catch (cause) {
        throw withFailures(cause, await this.#undoSteps());
      }
    });
  }

  /** Takes back what `make` has made; returns what of it could not be, a text each. */
  async takeBack(): Promise<readonly string[]> {
    const failures: string[] = [];
    try {
      await whileDrained(this.#plan.node, this.#clock, async () => failures.push(...(await this.#undoSteps())));
    } catch (error) {
      failures.push(messageOf(error));
    }
    return failures;
  }

  async #makeSteps(): Promise<void> {
    const { node, options, readOnly, links, commit } = this.#plan;
    if (options.keys.length > 0) {
      await node.reopen(options.keys, options.wanted);
      this.#undo.push(() => node.reopen(options.keys, options.former));
    }
    if (readOnly !== node.readOnly) {
      await node.setReadOnly(readOnly);
      this.#undo.push(() => node.setReadOnly(!readOnly));
    }
    if (links.length > 0) this.#undo.push(() => node.relinked());
    for (const link of links) {
      link.edge.retarget(link.node);
      this.#undo.push(() => link.edge.retarget(link.former));
    }
    if (links.length > 0) node.relinked();
    this.#undo.push(commit());
  }

  /** One that fails keeps no other from being undone. */
  async #undoSteps(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const step of this.#undo.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(messageOf(error));
      }
    }
    return failures;
  }
}

/** `cause` as it is, or with what could not be taken back after it. */
export function withFailures(cause: unknown, failures: readonly string[]): unknown {
  if (failures.length === 0) return cause;
  const undone = `what was changed before could not be taken back: ${failures.join('; ')}`;
  return new ColobusError(`${messageOf(cause)}; ${undone}`, { cause });
}
