/** job-complete: no job of Colobus waits for it, so it is refused in QEMU's words. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';

export const jobComplete: Command = defineCommand({
  name: 'job-complete',
  summary: 'Refused: every job here completes by itself',
  arguments: z.strictObject({ id: z.string() }),
  run: ({ id }, daemon) => {
    const { status } = daemon.jobs.get(id);
    throw new UsageError(`Job '${id}' in state '${status}' cannot accept command verb 'complete'`);
  },
});
