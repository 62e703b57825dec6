/** The published package, as a user gets it: packed, installed in an empty folder, used as the README shows. */

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Program } from '../support/program.ts';
import { projectRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const INSTALL = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
const TYPES = ['--types', 'node', '--typeRoots', `${projectRoot}/node_modules/@types`];
const COMPILE = ['--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable', '--module', 'nodenext'];

test('the README’s library example compiles and runs from the packed package', async () => {
  await using folder = await TemporaryFolder.create();
  const tarball = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder.path], projectRoot);
  const user = folder.file('user');
  await mkdir(user);
  await writeFile(`${user}/package.json`, JSON.stringify({ name: 'user', type: 'module', private: true }));
  await run('npm', [...INSTALL, folder.file(tarball.trim().split('\n').at(-1) ?? '')], user);

  await writeFile(`${user}/example.ts`, libraryExample(await readFile(`${projectRoot}/README.md`, 'utf8')));
  await run(
    process.execPath,
    [`${projectRoot}/node_modules/typescript/bin/tsc`, ...COMPILE, ...TYPES, 'example.ts'],
    user,
  );
  assert.equal(await run(process.execPath, ['example.js'], user), 'hello\n');

  assert.match(
    await run(process.execPath, ['node_modules/colobus/bin/colobus.js', '--version'], user),
    /^\d+\.\d+\.\d+\n$/,
  );
});

/** The TypeScript of the README. */
function libraryExample(readme: string): string {
  const [, example] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  assert.ok(example !== undefined, 'the README has a library example');
  assert.ok(example.trim().split('\n').length <= 15, 'the example has at most 15 lines');
  return example;
}

/** Runs a program to its end; its stdout. */
async function run(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { exitCode, stdout, stderr } = await Program.start(file, args, { cwd }).ended();
  assert.equal(exitCode, 0, `${file} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}
