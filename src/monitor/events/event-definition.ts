/** EventDefinition: what a monitor tells its clients by itself. Documentation and schema derive from it. */

import type * as z from 'zod';

export type EventDefinition = {
  /** One sentence for the documentation. */
  readonly summary: string;
  readonly data: z.ZodObject;
  readonly rateLimit?: EventRateLimit;
};

/** Of the events within one interval the first is sent at once and the last at its end; those between are dropped. */
export type EventRateLimit = {
  readonly intervalMs: number;
  /** The member of the data by which events are told apart; without it all of one name count together. */
  readonly key?: string;
};
