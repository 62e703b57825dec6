/** Where things lie in the checkout, whatever folder a test was built into. */

import { resolve } from 'node:path';

/** The folder the build went to; `dist` normally, a copy of it under mutation. */
export const buildRoot: string = resolve(import.meta.dirname, '../..');

export const projectRoot: string = resolve(buildRoot, '..');
