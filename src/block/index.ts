/** `colobus/block`: the block layer. */

export { BlockBackend } from './block-backend.ts';
export type { EdgePermissions } from './block-edge.ts';
export { READ_SHARED, READ_STABLE, WRITE_EXCLUSIVE } from './block-edge.ts';
export type { BlockEvent, BlockEventSink } from './block-event.ts';
export { BlockGraph } from './block-graph.ts';
export { BlockNode, DEFAULT_LIMITS, type NodeLimits } from './block-node.ts';
export {
  BlockRequest,
  type RequestKind,
  type RequestOwner,
  releaseRequest,
  takeRequest,
} from './block-request.ts';
export { ConsistencyGroup } from './consistency-group.ts';
export type { Driver, NodeDefinition, NodeReference, OpenContext } from './driver.ts';
export { EXTENT_HOLE, EXTENT_ZERO, ExtentList } from './extent-list.ts';
export type { NodeBitmap, NodeBitmaps } from './node-bitmaps.ts';
export type { ReplicationStatus, TakeOverImage } from './replication-status.ts';
