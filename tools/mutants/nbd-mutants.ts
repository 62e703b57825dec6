/** What breaks the NBD client's promises: no wrong data, every rule of the protocol, requests of lost connections. */

import type { Mutant } from './mutant.ts';

const CLIENT = 'src/nbd/client/nbd-client.js';
const CONNECTIONS = 'src/nbd/client/connection-group.js';
const HANDSHAKE = 'src/nbd/client/handshake.js';
const PARSER = 'src/nbd/client/reply-parser.js';
const RECONNECT = 'src/nbd/client/reconnecting-target.js';
const STATUS = 'src/nbd/client/status-reader.js';
const CALL = 'src/nbd/client/call.js';
const EXPORT = 'src/nbd/server/nbd-export.js';
const DIRECT = 'src/os/direct-socket.js';
const TURNS_TEST = 'src/nbd/server/turns.test.js';
const DIRECT_TEST = 'src/os/direct-socket.test.js';
const CLIENT_TEST = 'src/nbd/client/nbd-client.test.js';
const RECONNECT_TEST = 'src/nbd/client/reconnecting-target.test.js';
const ANSWERS_TEST = 'test/spec/client-malformed.test.js';
const OPTIONS_TEST = 'test/spec/client-malformed-handshake.test.js';

export const nbdMutants: readonly Mutant[] = [
  {
    rule: 'nbd answers',
    breaks: 'a read that lacks data succeeds',
    file: PARSER,
    search: "request.kind === 'read' && !slot.coverage.isComplete(request.length)",
    replace: 'false',
    tests: [ANSWERS_TEST],
  },
  {
    rule: 'nbd answers',
    breaks: 'an extended reply may name another offset than its request',
    file: PARSER,
    search: 'isExtended && chunk.offset !== request.offset',
    replace: 'false',
    tests: [ANSWERS_TEST],
  },
  {
    rule: 'nbd answers',
    breaks: 'an error may name an offset outside of its request',
    file: PARSER,
    search: 'offset !== null && (offset < request.offset || offset >= request.offset + request.length)',
    replace: 'false',
    tests: [ANSWERS_TEST],
  },
  {
    rule: 'nbd answers',
    breaks: 'an extent may end inside a block',
    file: STATUS,
    search: 'used < room && used % this.#minBlockBytes !== 0',
    replace: 'false',
    tests: [ANSWERS_TEST],
  },
  {
    rule: 'nbd answers',
    breaks: 'a status without a context succeeds',
    file: STATUS,
    search: 'if (slot.statusContexts.length === this.#contexts.size)',
    replace: 'if (true)',
    tests: [ANSWERS_TEST],
  },
  {
    rule: 'nbd options',
    breaks: 'two contexts may have one id',
    file: HANDSHAKE,
    search: 'contexts.some(known => known.id === context.id)',
    replace: 'false',
    tests: [OPTIONS_TEST],
  },
  {
    rule: 'nbd options',
    breaks: 'a reply to another option is taken',
    file: HANDSHAKE,
    search: 'if (header.option !== option)',
    replace: 'if (false)',
    tests: [OPTIONS_TEST],
  },
  {
    rule: 'nbd reconnect',
    breaks: 'half of an answer to a status counts beside the whole one',
    file: RECONNECT,
    search: 'forgetAnswer(child);\n',
    replace: '\n',
    tests: [RECONNECT_TEST],
  },
  {
    rule: 'nbd reconnect',
    breaks: 'pauses between attempts do not grow',
    file: RECONNECT,
    search: 'this.#pauseMs * 2',
    replace: 'this.#pauseMs',
    tests: [RECONNECT_TEST],
  },
  {
    rule: 'nbd reconnect',
    breaks: 'a write that was overtaken is sent again',
    file: RECONNECT,
    search: 'earlier.tag = OVERTAKEN;',
    replace: '',
    tests: [RECONNECT_TEST],
  },
  {
    rule: 'nbd reconnect',
    breaks: 'another export in place of the first is taken',
    file: RECONNECT,
    search: 'if (difference !== null)',
    replace: 'if (false)',
    tests: [RECONNECT_TEST],
  },
  {
    rule: 'nbd server',
    breaks: 'a disk behind a server that is gone makes clients believe that this one shuts down',
    file: 'src/nbd/server/transmission.js',
    search: ' || (errno === ESHUTDOWN && isOpen)',
    replace: '',
    tests: ['src/nbd/server/shut-down.test.js'],
  },
  {
    rule: 'nbd calls',
    breaks: 'a signal that is aborted has no effect on a call',
    file: CALL,
    search: "signal.addEventListener('abort', this.#abort, { once: true });",
    replace: '',
    tests: [CLIENT_TEST],
  },
  {
    rule: 'nbd calls',
    breaks: 'a write that was given up sends what the caller put there since',
    file: CLIENT,
    search: 'request.buffer = Buffer.from(request.buffer);',
    replace: ';',
    tests: [CLIENT_TEST],
  },
  {
    rule: 'nbd calls',
    breaks: 'close does not wait for calls of several requests',
    file: CLIENT,
    search: 'await this.#idle.promise;',
    replace: '',
    tests: [CLIENT_TEST],
  },
  {
    rule: 'nbd calls',
    breaks: 'connecting goes on when it was given up while further connections open',
    file: CONNECTIONS,
    search: 'if (options.signal?.aborted === true)',
    replace: 'if (false)',
    tests: [CLIENT_TEST],
  },
  {
    rule: 'nbd export',
    breaks: 'clients are told of larger blocks than the node takes',
    file: EXPORT,
    search: 'Math.min(NBD_MAX_PAYLOAD_BYTES, this.node.limits.maxTransferBytes)',
    replace: 'NBD_MAX_PAYLOAD_BYTES',
    tests: ['src/nbd/server/nbd-export.test.js'],
  },
  {
    rule: 'nbd bytes past the stream',
    breaks: 'bytes of an encrypted connection go out in plain text',
    file: DIRECT,
    search: '!(stream instanceof TLSSocket)',
    replace: 'true',
    tests: ['src/nbd/server/tls.test.js'],
  },
  {
    rule: 'nbd bytes past the stream',
    breaks: 'bytes overtake those that the stream still has to send',
    file: DIRECT,
    search: 'writable && writableLength === 0',
    replace: 'writable',
    tests: [DIRECT_TEST],
  },
  {
    rule: 'nbd bytes past the stream',
    breaks: 'what the kernel has taken of a piece is sent again',
    file: DIRECT,
    search: 'const start = Math.min(from + skip, to);',
    replace: 'const start = skip >= to - from ? to : from;',
    tests: [DIRECT_TEST],
  },
  {
    rule: 'nbd bytes past the stream',
    breaks: 'a connection that was reset is told as ended',
    file: DIRECT,
    search: "this.#failStream('read', lastErrno());",
    replace: '',
    tests: [DIRECT_TEST],
  },
  {
    rule: 'nbd turns of a connection',
    breaks: 'a client that sends much in a row keeps the event loop to itself',
    file: 'src/nbd/server/nbd-connection.js',
    search: '>= MAX_TURN_MS',
    replace: '>= 1e9',
    tests: [TURNS_TEST],
  },
  {
    rule: 'nbd turns of a connection',
    breaks: 'a connection whose turn is over never reads on',
    file: 'src/nbd/server/nbd-connection.js',
    search: 'transmission.stalled || this.#yields',
    replace: 'transmission.stalled',
    tests: [TURNS_TEST],
  },
];
