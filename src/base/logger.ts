/** What library code may say to a log. The daemon passes pino; the default is silence. */

export interface Logger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

const nothing = (): void => {};

export const silentLogger: Logger = { error: nothing, warn: nothing, info: nothing, debug: nothing };
