/** Part of `npm run check`: prints a line for each broken rule of the source tree and fails where there is one. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { layerViolations } from './layer-rules.ts';

const projectRoot = resolve(import.meta.dirname, '../..');
const sources = new Map<string, string>();
for (const folder of ['src', 'test', 'bench', 'tools']) {
  for (const file of readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' })) {
    const path = `${folder}/${file}`;
    if (path.endsWith('.ts')) sources.set(path, readFileSync(join(projectRoot, path), 'utf8'));
  }
}

const violations = layerViolations(sources);
for (const violation of violations) process.stdout.write(`${violation}\n`);
process.exitCode = violations.length === 0 ? 0 : 1;
