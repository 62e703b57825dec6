/** The version of Colobus, from its package.json. */

import { readFileSync } from 'node:fs';

const packageJson: unknown = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));

export const version: string = (packageJson as { readonly version: string }).version;
