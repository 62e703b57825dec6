/** What breaks the monitor: its wire, its events, and what it says of itself. */

import type { Mutant } from './mutant.ts';

const SESSION = 'src/monitor/monitor-session.js';
const LEXER = 'src/monitor/protocol/json-lexer.js';
const PARSER = 'src/monitor/protocol/json-parser.js';
const UTF8 = 'src/monitor/protocol/modified-utf8.js';
const MESSAGE = 'src/monitor/protocol/qmp-message.js';
const LIMITER = 'src/monitor/events/event-limiter.js';
const EXPORTS = 'src/monitor/block-exports.js';
const EXPORTS_TEST = 'src/monitor/block-exports.test.js';
const EXPLAIN = 'src/block/explain-options.js';
const TYPES = 'src/monitor/schema/type-description.js';
const READER_TEST = 'src/monitor/protocol/json-reader.test.js';
const MESSAGE_TEST = 'src/monitor/protocol/qmp-message.test.js';
const LIMITER_TEST = 'src/monitor/events/event-limiter.test.js';
const EXPLAIN_TEST = 'src/block/explain-options.test.js';
const MONITOR_TEST = 'test/scenarios/monitor.test.js';
const HOSTILE_TEST = 'test/scenarios/hostile-clients.test.js';
const ODD_TEST = 'test/scenarios/odd-input.test.js';
const SCHEMA_TEST = 'test/scenarios/qmp-schema.test.js';

export const monitorMutants: readonly Mutant[] = [
  {
    rule: 'monitor: promptness',
    breaks: 'a client that floods the monitor keeps the others waiting',
    file: SESSION,
    search: 'if (clock.nowMs() < turnEndsMs)',
    replace: 'if (true)',
    tests: [HOSTILE_TEST],
  },
  {
    rule: 'monitor: bounded memory',
    breaks: 'requests are read while others wait',
    file: SESSION,
    search: 'socket.pause();',
    replace: '',
    tests: [HOSTILE_TEST],
  },
  {
    rule: 'monitor: bounded memory',
    breaks: 'a client that does not read is kept',
    file: SESSION,
    search: 'this.#socket.writableLength > MAX_UNREAD_BYTES',
    replace: 'false',
    tests: [HOSTILE_TEST],
  },
  {
    rule: 'monitor: order',
    breaks: 'out-of-band commands wait for the others',
    file: SESSION,
    search: "'message' in waiting && this.#oobEnabled && this.#runOutOfBand(waiting.message)",
    replace: 'false',
    tests: [MONITOR_TEST],
  },
  {
    rule: 'monitor: negotiation',
    breaks: 'events come before negotiation',
    file: SESSION,
    search: 'if (this.#negotiated)\n            this.#send(encodeEvent',
    replace: 'if (true)\n            this.#send(encodeEvent',
    tests: [MONITOR_TEST],
  },
  {
    rule: 'monitor: lexer',
    breaks: 'a control character ends a recovery without being looked at',
    file: LEXER,
    search: "this.#state = 'between';\n        }",
    replace: "this.#state = 'between';\n            if (isControl(byte)) return at;\n        }",
    tests: [READER_TEST],
  },
  {
    rule: 'monitor: UTF-8',
    breaks: 'noncharacters are taken',
    file: UTF8,
    search: '(codePoint & 0xfffe) !== 0xfffe',
    replace: 'true',
    tests: [READER_TEST],
  },
  {
    rule: 'monitor: escapes',
    breaks: 'half of a pair of surrogates is taken',
    file: PARSER,
    search: '!isCharacter(codePoint)',
    replace: 'codePoint < 0',
    tests: [READER_TEST],
  },
  {
    rule: 'monitor: requests',
    breaks: 'arguments that are no object are looked at only behind the name',
    file: MESSAGE,
    search: 'if (!isJsonObject(args))',
    replace: 'if (execute !== undefined && !isJsonObject(args))',
    tests: [MESSAGE_TEST],
  },
  {
    rule: 'monitor: exports',
    breaks: 'an export whose name is taken stays attached to its node',
    file: EXPORTS,
    search: 'if (server.find(name) !== undefined) {',
    replace: 'if (false) {',
    tests: [EXPORTS_TEST],
  },
  {
    rule: 'monitor: rate limit',
    breaks: 'the last event of an interval is dropped with those between',
    file: LIMITER,
    search: 'if (last !== null)',
    replace: 'if (false)',
    tests: [LIMITER_TEST],
  },
  {
    rule: 'monitor: rate limit',
    breaks: 'a delayed event begins no interval',
    file: LIMITER,
    search: 'this.#sendAndWait(last.event, last.wallUs, key, limit);',
    replace: 'this.#send(last.event, last.wallUs);',
    tests: [LIMITER_TEST],
  },
  {
    rule: 'monitor: rate limit',
    breaks: 'events of all nodes count together',
    file: LIMITER,
    search: 'String(member)',
    replace: "''",
    tests: [LIMITER_TEST],
  },
  {
    rule: 'monitor: explanations',
    breaks: 'an element of an array is named as a member',
    file: EXPLAIN,
    search: "typeof part === 'number'",
    replace: 'false',
    tests: [EXPLAIN_TEST],
  },
  {
    rule: 'monitor: explanations',
    breaks: 'a choice of another type is called another value',
    file: EXPLAIN,
    search: "if (typeof input !== 'string') {",
    replace: 'if (false) {',
    tests: [EXPLAIN_TEST],
  },
  {
    rule: 'monitor: numbers',
    breaks: 'a whole number that is written as none passes for an integer',
    file: SESSION,
    search: '{ tellsIntegers: true }',
    replace: '{ tellsIntegers: false }',
    tests: [ODD_TEST],
  },
  {
    rule: 'monitor: explanations',
    breaks: 'a member that schemas do not see is ignored',
    file: EXPLAIN,
    search: "if (Object.hasOwn(value, '__proto__')) {",
    replace: 'if (false) {',
    tests: [EXPLAIN_TEST],
  },
  {
    rule: 'monitor: schema',
    breaks: 'members with a default are told as required',
    file: TYPES,
    search: "def.type === 'optional' || def.type === 'default'",
    replace: "def.type === 'optional'",
    tests: [SCHEMA_TEST],
  },
];
