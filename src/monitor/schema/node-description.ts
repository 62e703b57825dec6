/** What blockdev-add takes: the options of every node, and by driver its own. */

import * as z from 'zod';
import type { Driver } from '../../block/driver.ts';
import { COMMON_OPTIONS } from '../../block/node-options.ts';
import { describeObject, describeType, type MemberDescription, type ObjectDescription } from './type-description.ts';

/** The description of a node of any of `drivers`. */
export function describeNode(drivers: readonly Driver[]): ObjectDescription {
  const names = drivers.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  const common = describeObject(z.strictObject(COMMON_OPTIONS)).members.map(
    (member): MemberDescription =>
      member.name === 'driver' ? { ...member, type: { kind: 'enum', values: names } } : member,
  );
  const cases = drivers.flatMap(driver => {
    const members = driverMembers(driver);
    return [driver.name, ...(driver.aliases ?? [])].map(value => ({ value, members }));
  });
  return { kind: 'object', members: common, isOpen: false, variants: { tag: 'driver', cases } };
}

/** The options of one driver. Of a driver that takes one of several sets, those of all. */
export function driverMembers({ options }: Driver): readonly MemberDescription[] {
  const description = describeType(options);
  const sets = description.kind === 'alternate' ? description.options : [description];
  const objects = sets.filter(set => set.kind === 'object');
  const members = new Map<string, MemberDescription>();
  for (const member of objects.flatMap(object => object.members)) {
    const isEverywhere = objects.every(object => object.members.some(({ name }) => name === member.name));
    const known = members.get(member.name);
    const isOptional = member.isOptional || known?.isOptional === true || !isEverywhere;
    members.set(member.name, { ...(known ?? member), isOptional });
  }
  return [...members.values()];
}
