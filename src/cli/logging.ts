/** The log of a process: JSON lines on stderr. */

import { type Logger as PinoLogger, pino } from 'pino';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes synchronously, so that nothing is lost when the process ends. */
export function createLogger(level: LogLevel): PinoLogger {
  return pino({ name: 'colobus', level }, pino.destination({ dest: 2, sync: true }));
}
