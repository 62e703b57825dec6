import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonValue } from './json-value.ts';
import { QmpError } from './qmp-error.ts';
import { decodeRequest, encodeError, encodeEvent, encodeGreeting, encodeReturn, QEMU_VERSION } from './qmp-message.ts';

/** As qemu-storage-daemon 7.2 answers them. */
const REFUSED: readonly (readonly [message: JsonValue, error: string])[] = [
  [1, 'QMP input must be a JSON object'],
  [[1, 2], 'QMP input must be a JSON object'],
  [null, 'QMP input must be a JSON object'],
  [{ id: 5 }, "QMP input lacks member 'execute'"],
  [{ execute: 5 }, "QMP input member 'execute' must be a string"],
  [{ execute: 'x', arguments: 5 }, "QMP input member 'arguments' must be an object"],
  [{ execute: 'x', arguments: null }, "QMP input member 'arguments' must be an object"],
  [{ execute: 'x', foo: 5 }, "QMP input member 'foo' is unexpected"],
  [{ arguments: 5 }, "QMP input member 'arguments' must be an object"],
  [{ 'exec-oob': 'x' }, "QMP input member 'exec-oob' is unexpected"],
];

describe('decodeRequest', () => {
  for (const [message, error] of REFUSED) {
    it(`refuses ${JSON.stringify(message)}`, () => {
      assert.throws(() => decodeRequest(message, false), new QmpError(error));
    });
  }

  it('takes any JSON value as id', () => {
    for (const id of [null, 0, 'x', [1], { a: 1 }]) {
      assert.deepEqual(decodeRequest({ execute: 'x', id }, false), { name: 'x', arguments: {}, id, outOfBand: false });
    }
  });

  it('takes exec-oob once out-of-band execution was negotiated, but not beside execute', () => {
    assert.equal(decodeRequest({ 'exec-oob': 'x' }, true).outOfBand, true);
    assert.throws(
      () => decodeRequest({ execute: 'x', 'exec-oob': 'x' }, true),
      new QmpError("QMP input member 'execute' clashes with 'exec-oob'"),
    );
  });
});

describe('the messages of the server', () => {
  it('end with CR LF and are ASCII', () => {
    assert.equal(
      encodeReturn({ text: 'ü😀\u007f' }, undefined),
      '{"return":{"text":"\\u00FC\\uD83D\\uDE00\\u007F"}}\r\n',
    );
  });

  it('greet with the version and the capabilities', () => {
    assert.equal(
      encodeGreeting({ qemu: QEMU_VERSION, package: 'colobus 1.2.3' }),
      '{"QMP":{"version":{"qemu":{"major":7,"minor":2,"micro":0},"package":"colobus 1.2.3"},"capabilities":["oob"]}}\r\n',
    );
  });

  it('echo the id, and have none where the client gave none', () => {
    assert.equal(encodeReturn({}, [1, null]), '{"return":{},"id":[1,null]}\r\n');
    assert.equal(encodeReturn([], undefined), '{"return":[]}\r\n');
    assert.equal(encodeReturn({}, 12345678901234567890n), '{"return":{},"id":12345678901234567890}\r\n');
  });

  it('give an error its class, and GenericError to any other', () => {
    assert.equal(
      encodeError(new QmpError('No', 'CommandNotFound'), 1),
      '{"id":1,"error":{"class":"CommandNotFound","desc":"No"}}\r\n',
    );
    assert.equal(encodeError(new Error('No'), undefined), '{"error":{"class":"GenericError","desc":"No"}}\r\n');
  });

  it('give an event its time', () => {
    assert.equal(
      encodeEvent({ name: 'SHUTDOWN' }, 1_700_000_000_000_007),
      '{"timestamp":{"seconds":1700000000,"microseconds":7},"event":"SHUTDOWN"}\r\n',
    );
  });
});
