/** The properties of user objects that QEMU's qom-get and qom-set name: here, those of throttle groups. */

import * as z from 'zod';
import { UsageError } from '../base/errors.ts';
import { explainOptions } from '../block/explain-options.ts';
import { ThrottleGroup } from '../drivers/throttle/throttle-group.ts';
import { limitProperties, throttleLimits } from '../drivers/throttle/throttle-limits.ts';
import { QmpError } from './protocol/qmp-error.ts';
import type { UserObjects } from './user-objects.ts';

const TYPE = 'throttle-group';
const LIMITS = z.strictObject({ limits: throttleLimits });

/** The value of `property` of the object at `path`, its id or `/objects/` and its id. */
export function readProperty(objects: UserObjects, path: string, property: string): unknown {
  const group = groupAt(objects, path);
  if (property === 'type') return TYPE;
  if (property === 'limits') return group.limits;
  requireProperty(property);
  return group.limits[property.replace('x-', '') as keyof typeof group.limits];
}

/** Changes a property. Throws UsageError in QEMU's words, having changed nothing, where it cannot be `value`. */
export function writeProperty(objects: UserObjects, path: string, property: string, value: unknown): void {
  const group = groupAt(objects, path);
  if (property === 'type') throw new UsageError(`Property '${TYPE}.type' is not writable`);
  if (property !== 'limits') {
    requireProperty(property);
    throw new UsageError('Property cannot be set after initialization');
  }
  const checked = LIMITS.safeParse({ limits: value }, { reportInput: true });
  if (!checked.success) throw new UsageError(explainOptions(checked.error));
  group.changeLimits(checked.data.limits);
}

function groupAt(objects: UserObjects, path: string): ThrottleGroup {
  const object = objects.find(path.replace(/^\/objects\//, ''));
  if (object === undefined) throw new QmpError(`Device '${path}' not found`, 'DeviceNotFound');
  if (object instanceof ThrottleGroup) return object;
  throw new UsageError(`Object '${path}' is no throttle-group; the others have no properties to read or change`);
}

function requireProperty(property: string): void {
  if (!Object.hasOwn(limitProperties, property)) throw new UsageError(`Property '${TYPE}.${property}' not found`);
}
