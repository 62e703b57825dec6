/** One contract, run over every driver. */

import { nodeContract } from './node-contract.ts';
import { subjects } from './subjects.ts';

for (const subject of subjects) nodeContract(subject);
