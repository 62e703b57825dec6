/** `npm run conformance`: writes docs/nbd-conformance.md. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../support/project.ts';
import { conformance } from './conformance.ts';

const { markdown, problems } = conformance();
for (const problem of problems) process.stderr.write(`${problem}\n`);
writeFileSync(join(projectRoot, 'docs/nbd-conformance.md'), markdown);
process.exitCode = problems.length === 0 ? 0 : 1;
