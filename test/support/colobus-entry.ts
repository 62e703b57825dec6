/** The program `colobus` as this build has it, begun as bin/colobus.js begins the one in dist. */

import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--semi-space-growth-factor=1');
const { main } = await import('../../src/cli/main.ts');
await main(process.argv.slice(2));
