/** The published package, as a user gets it: packed, installed in an empty folder, used as its manuals show. */

import assert from 'node:assert/strict';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Program } from '../support/program.ts';
import { projectRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const INSTALL = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
const TYPES = ['--types', 'node', '--typeRoots', `${projectRoot}/node_modules/@types`];
const COMPILE = ['--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable', '--module', 'nodenext'];
const CLIENT_MANUAL = 'node_modules/colobus/src/nbd/client/README.md';

type Example = { readonly name: string; readonly code: string };

let folder: TemporaryFolder;
/** The folder of the user, with the package installed and all examples compiled. */
let user: string;
let main: readonly Example[];
let client: readonly Example[];

before(async () => {
  folder = await TemporaryFolder.create();
  user = folder.file('user');
  const tarball = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder.path], projectRoot);
  await mkdir(user);
  await writeFile(`${user}/package.json`, JSON.stringify({ name: 'user', type: 'module', private: true }));
  await run('npm', [...INSTALL, folder.file(tarball.trim().split('\n').at(-1) ?? '')], user);
  main = examplesOf(await readFile(`${user}/node_modules/colobus/README.md`, 'utf8'), 'main');
  client = examplesOf(await readFile(`${user}/${CLIENT_MANUAL}`, 'utf8'), 'client');
  const examples = [...main, ...client];
  for (const { name, code } of examples) await writeFile(`${user}/${name}.ts`, code);
  const files = examples.map(({ name }) => `${name}.ts`);
  await run(process.execPath, [`${projectRoot}/node_modules/typescript/bin/tsc`, ...COMPILE, ...TYPES, ...files], user);
});
after(() => folder[Symbol.asyncDispose]());

test('the README’s library example compiles and runs from the packed package', async () => {
  const [example] = main;
  assert.ok(example !== undefined, 'the README has a library example');
  assert.ok(example.code.trim().split('\n').length <= 15, 'the example has at most 15 lines');
  assert.equal(await run(process.execPath, ['main-1.js'], user), 'hello\n');
});

test('the packed command runs', async () => {
  const command = ['node_modules/colobus/bin/colobus.js', '--version'];
  assert.match(await run(process.execPath, command, user), /^\d+\.\d+\.\d+\n$/);
});

test('every example of the client’s manual compiles, runs against a server and prints what it says', async () => {
  const image = await open(`${user}/disk.img`, 'w');
  await image.truncate(16 * 1024 * 1024);
  await image.close();
  await run('psktool', ['-u', 'alice', '-p', 'keys.psk'], user);
  const serve = ['node_modules/colobus/bin/colobus.js', 'serve', '--export', 'disk'];
  const security = ['--tls', 'require', '--tls-psk', 'keys.psk'];
  assert.ok(client.length >= 9, 'the manual has its examples');
  for (const [socket, options, isServed] of [
    ['disk.sock', [], ({ code }: Example) => !code.includes('secure.sock')],
    ['secure.sock', security, ({ code }: Example) => code.includes('secure.sock')],
  ] as const) {
    await using server = Program.start(process.execPath, [...serve, '--socket', socket, ...options, 'disk.img'], {
      cwd: user,
    });
    await server.firstLine();
    for (const example of client.filter(isServed)) {
      const printed = await run(process.execPath, [`${example.name}.js`], user);
      assert.deepEqual(printed.trimEnd().split('\n'), saidToPrint(example), example.code);
    }
  }
});

/** The TypeScript of a manual. */
function examplesOf(manual: string, name: string): readonly Example[] {
  return [...manual.matchAll(/```ts\n(.*?)```/gs)].map(([, code = ''], index) => ({
    name: `${name}-${index + 1}`,
    code,
  }));
}

/** What the comments behind its calls of console.log say that an example prints. */
function saidToPrint({ code }: Example): readonly string[] {
  return [...code.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(([, text = '']) => text);
}

/** Runs a program to its end; its stdout. */
async function run(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { exitCode, stdout, stderr } = await Program.start(file, args, { cwd }).ended();
  assert.equal(exitCode, 0, `${file} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}
