/** The `nbd` driver connected to our own server, both in this process. */

import { BlockGraph } from '../../src/block/block-graph.ts';
import { drivers } from '../../src/drivers/index.ts';
import { NbdExport, NbdServer } from '../../src/nbd/server/index.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import type { Subject } from './subject.ts';

const CLOSE_DEADLINE_MS = 5000;

export const nbdSubject: Subject = {
  name: 'nbd, connected to our server',
  keepsData: true,
  async open(lengthBytes, readOnly) {
    const folder = await TemporaryFolder.create();
    const graph = new BlockGraph({ drivers });
    const served = await graph.add({ driver: 'memory', 'node-name': 'served', size: lengthBytes });
    const server = await NbdServer.listen({ path: folder.file('nbd.sock') });
    const exported = NbdExport.open({ id: 'disk', name: 'disk', node: served, writable: !readOnly });
    server.addExport(exported);
    const node = await graph.add({
      driver: 'nbd',
      'node-name': 'disk',
      'read-only': readOnly,
      server: { type: 'unix', path: folder.file('nbd.sock') },
      export: 'disk',
    });
    return {
      node,
      async [Symbol.asyncDispose]() {
        await graph.remove('disk');
        await exported.close({ mode: 'hard', deadlineMs: CLOSE_DEADLINE_MS });
        await server[Symbol.asyncDispose]();
        await graph[Symbol.asyncDispose]();
        await folder[Symbol.asyncDispose]();
      },
    };
  },
};
