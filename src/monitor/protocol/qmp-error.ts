/** QmpError: a refusal with one of QMP's error classes (QMP specification, section 2.4.2). */

import { ColobusError } from '../../base/errors.ts';

export type QmpErrorClass = 'GenericError' | 'CommandNotFound' | 'DeviceNotActive' | 'DeviceNotFound' | 'KVMMissingCap';

/** Any other error that a command throws is reported as GenericError. */
export class QmpError extends ColobusError {
  override readonly name = 'QmpError';
  readonly errorClass: QmpErrorClass;

  constructor(message: string, errorClass: QmpErrorClass = 'GenericError') {
    super(message);
    this.errorClass = errorClass;
  }
}
