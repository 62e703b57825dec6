/** `colobus/monitor`: the client of a monitor, for programs that command a daemon. */

export { type QmpAddress, QmpClient, type QmpClientOptions, type ReceivedEvent } from './client.ts';
export type { JsonValue } from './protocol/json-value.ts';
export { QmpError, type QmpErrorClass } from './protocol/qmp-error.ts';
