/** InjectionRules: which request of a `blkdebug` node is hit by which rule. */

import type { BlockRequest, RequestKind } from '../../block/block-request.ts';
import type { DebugEvent, InjectError, IoType } from './options.ts';

const SECTOR_BYTES = 512;

/** The requests at which each of QEMU's events happens. A block-status is hit only by a rule that names it. */
const KINDS_OF_EVENT: Readonly<Record<DebugEvent, readonly RequestKind[]>> = {
  none: ['read', 'write', 'write-zeroes', 'discard', 'flush'],
  read_aio: ['read'],
  write_aio: ['write'],
  pwritev: ['write'],
  pwritev_zero: ['write-zeroes'],
  flush_to_os: ['flush'],
  flush_to_disk: ['flush'],
};

export class InjectionRules {
  #rules: readonly InjectError[];

  constructor(rules: readonly InjectError[]) {
    this.#rules = rules;
  }

  /** The first rule that hits `request` taken as one of `kind`; a `once` rule is used up by it. */
  take(request: BlockRequest, kind: IoType | 'cache'): InjectError | null {
    for (const rule of this.#rules) {
      if (!hitsKind(rule, kind) || !hitsSector(rule, request)) continue;
      if (rule.once) this.#rules = this.#rules.filter(other => other !== rule);
      return rule;
    }
    return null;
  }
}

/** The first byte of a sector. */
export function sectorAt(sector: number): number {
  return sector * SECTOR_BYTES;
}

function hitsKind(rule: InjectError, kind: IoType | 'cache'): boolean {
  if (rule.iotype === undefined) return KINDS_OF_EVENT[rule.event].includes(kind);
  return rule.iotype === kind && (rule.event === 'none' || KINDS_OF_EVENT[rule.event].includes(kind));
}

function hitsSector(rule: InjectError, request: BlockRequest): boolean {
  if (rule.sector === undefined) return true;
  const at = sectorAt(rule.sector);
  return at >= request.offset && at < request.offset + request.length;
}
