import assert from 'node:assert/strict';
import { test } from 'node:test';
import { indentJson } from './indent-json.ts';

test('members and elements have lines of their own, and what is empty has two', () => {
  const json = '{"return": [{"id":"a","list":[1,-2.5e3,null]},[]],"none":{}}\r\n';
  assert.equal(
    indentJson(json),
    [
      '{',
      '    "return": [',
      '        {',
      '            "id": "a",',
      '            "list": [',
      '                1,',
      '                -2.5e3,',
      '                null',
      '            ]',
      '        },',
      '        [',
      '        ]',
      '    ],',
      '    "none": {',
      '    }',
      '}',
      '',
    ].join('\r\n'),
  );
});

test('what is in strings stays as it is', () => {
  for (const value of ['{"a": [1, 2]}', '"\\', '\\"', ' : , ', '']) {
    const { text } = JSON.parse(indentJson(JSON.stringify({ text: value }))) as { text: string };
    assert.equal(text, value);
  }
});
