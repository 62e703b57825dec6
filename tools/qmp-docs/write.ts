/** `npm run qmp-docs`: writes docs/qmp.md. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../test/support/project.ts';
import { renderQmpDocumentation } from './render.ts';

writeFileSync(join(projectRoot, 'docs/qmp.md'), renderQmpDocumentation());
