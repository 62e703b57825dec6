/** x-debug-query-block-graph: the nodes, the roots above them and the edges between, for programs that draw them. */

import * as z from 'zod';
import type { BlockBackend } from '../../block/block-backend.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { type Command, defineCommand } from '../command.ts';

const PERMISSION = z.enum(['consistent-read', 'write', 'write-unchanged', 'resize']);

const NODE = z.strictObject({
  id: z.int().describe('what edges call it in this answer'),
  type: z.enum(['block-backend', 'block-job', 'block-driver']).describe('a root, or a node'),
  name: z.string().describe('the node-name, or what the root is'),
});

const EDGE = z.strictObject({
  parent: z.int().describe('who uses the child'),
  child: z.int().describe('the node that is used'),
  name: z.string().describe('what the child is to the parent'),
  perm: z.array(PERMISSION).describe('what the parent may do'),
  'shared-perm': z.array(PERMISSION).describe('what the parent lets others do'),
});

const GRAPH = z.strictObject({
  nodes: z.array(NODE).describe('the nodes, and the roots above them'),
  edges: z.array(EDGE).describe('who uses which node'),
});

type Graph = z.infer<typeof GRAPH>;

export const xDebugQueryBlockGraph: Command = defineCommand({
  name: 'x-debug-query-block-graph',
  summary: 'The graph of nodes with its roots (exports, jobs) and permissions; ids hold within one answer',
  arguments: z.strictObject({}),
  returns: GRAPH,
  run: (_args, daemon) => describeGraph(daemon.graph.nodes()),
});

function describeGraph(nodes: readonly BlockNode[]): Graph {
  const ids = new Map<object, number>();
  const idOf = (what: object): number => {
    const id = ids.get(what) ?? ids.size + 1;
    ids.set(what, id);
    return id;
  };
  const graph: Graph = { nodes: [], edges: [] };
  const addEdge = (parent: object, edge: BlockEdge): void => {
    graph.edges.push({ parent: idOf(parent), child: idOf(edge.node), name: edge.role, ...permissionsOf(edge) });
  };
  for (const backend of rootsOf(nodes)) {
    graph.nodes.push({ id: idOf(backend), type: 'block-backend', name: backend.name });
    addEdge(backend, backend.edge);
  }
  for (const node of nodes) {
    graph.nodes.push({ id: idOf(node), type: 'block-driver', name: node.name });
    for (const edge of node.children.values()) addEdge(node, edge);
  }
  return graph;
}

function rootsOf(nodes: readonly BlockNode[]): readonly BlockBackend[] {
  return nodes.flatMap(node => [...node.parents].flatMap(({ backend }) => backend ?? []));
}

function permissionsOf({ permissions }: BlockEdge): Pick<Graph['edges'][number], 'perm' | 'shared-perm'> {
  const { write, shareWrite } = permissions;
  return {
    perm: [...(write ? (['write'] as const) : []), 'consistent-read'],
    'shared-perm': ['write-unchanged', ...(shareWrite ? (['write'] as const) : []), 'consistent-read'],
  };
}
