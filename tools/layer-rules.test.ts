import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerViolations } from './layer-rules.ts';

type Case = {
  readonly name: string;
  readonly sources: Readonly<Record<string, string>>;
  readonly finds: RegExp | null;
};

const CASES: readonly Case[] = [
  {
    name: 'an import may point left',
    sources: { 'src/nbd/a.ts': "import { b } from '../block/b.ts';\n", 'src/block/b.ts': '' },
    finds: null,
  },
  {
    name: 'an import that points right is named with its rule',
    sources: { 'src/block/a.ts': "import { b } from '../nbd/b.ts';\n", 'src/nbd/b.ts': '' },
    finds: /^src\/block\/a\.ts: imports src\/nbd\/b\.ts; layers point one way: nbd stands right of block$/,
  },
  {
    name: 'a type import that points right is one too',
    sources: { 'src/base/a.ts': "import type {\n  A,\n  B,\n} from '../cli/b.ts';\n" },
    finds: /imports src\/cli\/b\.ts/,
  },
  {
    name: 'a re-export and a dynamic import are imports',
    sources: { 'src/base/a.ts': "export { b } from '../os/b.ts';\n", 'src/os/c.ts': "await import('../cli/d.ts');\n" },
    finds: /imports src\/os\/b\.ts.*\n.*imports src\/cli\/d\.ts/,
  },
  {
    name: 'a cycle at run time is shown as a path',
    sources: { 'src/nbd/a.ts': "import { b } from './b.ts';\n", 'src/nbd/b.ts': "import { a } from './a.ts';\n" },
    finds: /src\/nbd\/a\.ts → src\/nbd\/b\.ts → src\/nbd\/a\.ts; no cycles$/,
  },
  {
    name: 'a cycle of types alone is none',
    sources: { 'src/nbd/a.ts': "import { b } from './b.ts';\n", 'src/nbd/b.ts': "import type { A } from './a.ts';\n" },
    finds: null,
  },
  {
    name: 'only src/os imports koffi',
    sources: { 'src/drivers/a.ts': "import koffi from 'koffi';\n", 'src/os/b.ts': "import koffi from 'koffi';\n" },
    finds: /^src\/drivers\/a\.ts: imports koffi; only src\/os imports koffi$/,
  },
  {
    name: 'a library layer that reads the environment or a signal is found, a comment about it is not',
    sources: {
      'src/nbd/a.ts': 'const home = process.env.HOME;\n',
      'src/nbd/b.ts': "process.once('SIGTERM', stop);\n",
      'src/nbd/c.ts': '// process.env is not read here.\n',
      'src/cli/d.ts': 'const words = process.argv;\n',
    },
    finds: /^src\/nbd\/a\.ts: reads [^\n]*\nsrc\/nbd\/b\.ts: reads [^\n]*$/,
  },
  {
    name: 'src imports nothing of test, a test beside its file may',
    sources: {
      'src/nbd/a.ts': "import { x } from '../../test/support/x.ts';\n",
      'src/nbd/a.test.ts': "import { x } from '../../test/support/x.ts';\n",
    },
    finds: /^src\/nbd\/a\.ts: imports test\/support\/x\.ts; src imports nothing of test, bench or tools$/,
  },
  {
    name: 'only tests import the simulator, which imports what it wants',
    sources: {
      'src/pair/a.ts': "import { x } from '../sim/x.ts';\n",
      'src/pair/a.test.ts': "import { x } from '../sim/x.ts';\n",
      'src/sim/b.ts': "import { y } from '../cli/y.ts';\n",
    },
    finds: /^src\/pair\/a\.ts: imports src\/sim\/x\.ts; only tests import src\/sim$/,
  },
  {
    name: 'nothing imports a test',
    sources: { 'bench/a.ts': "import { x } from '../src/base/x.test.ts';\n" },
    finds: /nothing imports a test$/,
  },
  {
    name: 'a folder that is no layer is named',
    sources: { 'src/helpers/a.ts': "import { x } from '../base/x.ts';\n" },
    finds: /'helpers' is not a layer$/,
  },
  {
    name: 'a file of more than 500 lines is found, one of 500 is not',
    sources: { 'src/nbd/long.ts': '\n'.repeat(501), 'src/nbd/longest.ts': '\n'.repeat(500) },
    finds: /^src\/nbd\/long\.ts: has 501 lines; split what is longer than 500$/,
  },
];

for (const { name, sources, finds } of CASES) {
  test(name, () => {
    const violations = layerViolations(new Map(Object.entries(sources))).join('\n');
    if (finds === null) assert.equal(violations, '');
    else assert.match(violations, finds);
  });
}
