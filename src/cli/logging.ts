/** The log of a process: JSON lines on stderr. */

import { type Logger as PinoLogger, pino } from 'pino';
import { messageOf } from '../base/errors.ts';
import type { LogLevel } from './log-level.ts';

/** Writes synchronously, so that nothing is lost when the process ends. Errors have their stack at level debug only. */
export function createLogger(level: LogLevel): PinoLogger {
  const describe = level === 'debug' ? pino.stdSerializers.err : messageOf;
  const serializers = { err: describe, error: describe };
  return pino({ name: 'colobus', level, serializers }, pino.destination({ dest: 2, sync: true }));
}
