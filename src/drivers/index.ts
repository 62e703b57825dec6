/** `colobus/drivers`: all drivers, for a BlockGraph. */

import type { Driver } from '../block/driver.ts';
import { fileDriver } from './file/file-driver.ts';

export const drivers: readonly Driver[] = [fileDriver];
