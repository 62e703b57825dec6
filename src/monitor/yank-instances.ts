/** What can be yanked: connections that are closed at once, without waiting for anything. */

import * as z from 'zod';
import type { MonitoredDaemon } from './monitored-daemon.ts';
import { QmpError } from './protocol/qmp-error.ts';

export type YankInstance =
  | { readonly type: 'block-node'; readonly 'node-name': string }
  | { readonly type: 'chardev'; readonly id: string }
  | { readonly type: 'migration' };

const KIND = 'what is meant; there is never a migration here';

export const yankInstance: z.ZodType<YankInstance> = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('block-node').describe(KIND),
    'node-name': z.string().describe('the nbd node'),
  }),
  z.strictObject({
    type: z.literal('chardev').describe(KIND),
    id: z.string().describe("the monitor's chardev"),
  }),
  z.strictObject({ type: z.literal('migration').describe(KIND) }),
]);

/** The chardevs that are sockets, then the nbd nodes. */
export function yankInstances(daemon: MonitoredDaemon): readonly YankInstance[] {
  const sockets = daemon.chardevs.list().filter(device => device.isSocket);
  const links = daemon.graph.nodes().filter(node => node.driver === 'nbd');
  return [
    ...sockets.map(({ id }): YankInstance => ({ type: 'chardev', id })),
    ...links.map((node): YankInstance => ({ type: 'block-node', 'node-name': node.name })),
  ];
}

/** Closes the connections of all `instances`, or of none and throws where one is not there. */
export function yankAll(daemon: MonitoredDaemon, instances: readonly YankInstance[]): void {
  const known = yankInstances(daemon).map(keyOf);
  if (!instances.every(instance => known.includes(keyOf(instance)))) {
    throw new QmpError('Instance not found', 'DeviceNotFound');
  }
  for (const instance of instances) {
    if (instance.type === 'chardev') daemon.chardevs.find(instance.id)?.disconnectClients();
    else if (instance.type === 'block-node') daemon.graph.node(instance['node-name']).abandon('yanked');
  }
}

function keyOf(instance: YankInstance): string {
  switch (instance.type) {
    case 'block-node':
      return `block-node ${instance['node-name']}`;
    case 'chardev':
      return `chardev ${instance.id}`;
    case 'migration':
      return 'migration';
  }
}
