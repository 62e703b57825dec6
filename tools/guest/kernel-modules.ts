/** Modules of an unpacked kernel package, in the order in which `insmod` can load them. */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Paths of the modules `wanted` and of all they depend on, each after those. */
export function modulesInOrder(kernelFolder: string, wanted: readonly string[]): string[] {
  const paths = modulePaths(kernelFolder);
  const ordered: string[] = [];
  const add = (name: string): void => {
    const path = paths.get(name);
    if (path === undefined) throw new Error(`The kernel in ${kernelFolder} has no module '${name}'`);
    if (ordered.includes(path)) return;
    for (const dependency of moduleDependencies(path)) add(dependency);
    ordered.push(path);
  };
  for (const name of wanted) add(name);
  return ordered;
}

function modulePaths(kernelFolder: string): Map<string, string> {
  const files = readdirSync(kernelFolder, { recursive: true, encoding: 'utf8' });
  const modules = files.filter(file => file.endsWith('.ko'));
  return new Map(modules.map(file => [moduleName(basename(file, '.ko')), join(kernelFolder, file)]));
}

/** What the section .modinfo of a module says: NUL-ended strings, one of them `depends=A,B`. */
function moduleDependencies(path: string): string[] {
  const text = readFileSync(path, 'latin1');
  const names = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? '';
  return names === '' ? [] : names.split(',').map(moduleName);
}

/** A dash and an underscore are the same in a module's name. */
function moduleName(name: string): string {
  return name.replaceAll('-', '_');
}
