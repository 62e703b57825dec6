/** What a node tells the outside as it happens; the monitor sends them on as QMP events of the same name and data. */

import type { ReplicationState } from './replication-status.ts';

export type BlockEvent =
  | {
      readonly name: 'REPLICATION_STATE_CHANGE';
      readonly data: { 'node-name': string; state: ReplicationState; reason: string };
    }
  | {
      readonly name: 'REPLICATION_ERROR';
      readonly data: {
        'node-name': string;
        child: string;
        operation: string;
        offset: number;
        length: number;
        errno: number;
      };
    }
  | {
      readonly name: 'REPLICATION_CHECKPOINT';
      readonly data: { 'node-names': readonly string[]; checkpoint: number; 'duration-us': number };
    }
  | {
      readonly name: 'COLO_BUFFER_LIMIT';
      readonly data: { 'node-name': string; limit: 'soft' | 'hard'; action: string };
    }
  | { readonly name: 'COLO_BUFFER_INVALID'; readonly data: { 'node-name': string; reason: string } }
  | {
      readonly name: 'QUORUM_REPORT_BAD';
      readonly data: {
        type: 'read' | 'write' | 'flush';
        error?: string;
        'node-name': string;
        'sector-num': number;
        'sectors-count': number;
      };
    }
  | {
      readonly name: 'QUORUM_FAILURE';
      readonly data: { reference: string; 'sector-num': number; 'sectors-count': number };
    }
  | {
      /** A request of an export failed; QEMU's event, of which `device` is empty for whatever has no guest device. */
      readonly name: 'BLOCK_IO_ERROR';
      readonly data: {
        device: '';
        'node-name': string;
        operation: 'read' | 'write';
        action: 'report';
        nospace: boolean;
        reason: string;
      };
    };

export type BlockEventSink = (event: BlockEvent) => void;
