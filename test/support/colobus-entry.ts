/** The program `colobus` as this build has it; bin/colobus.js runs the one in dist. */

import { main } from '../../src/cli/main.ts';

await main(process.argv.slice(2));
