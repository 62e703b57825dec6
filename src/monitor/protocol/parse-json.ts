/** One JSON value as a text of its own, such as an argument on the command line: in the monitor's dialect and words. */

import { UsageError } from '../../base/errors.ts';
import { JsonReader } from './json-reader.ts';
import type { JsonValue } from './json-value.ts';

/** The value in `text`, with whole numbers that are written as none as symbols; throws UsageError where it is none. */
export function parseJson(text: string): JsonValue {
  const values: JsonValue[] = [];
  const errors: string[] = [];
  const sink = { onValue: (value: JsonValue) => values.push(value), onError: (error: string) => errors.push(error) };
  const reader = new JsonReader(sink, { tellsIntegers: true });
  reader.feed(Buffer.from(text));
  reader.end();
  const [value] = values;
  if (value !== undefined && values.length + errors.length > 1)
    throw new UsageError('Expecting at most one JSON value');
  if (value === undefined) throw new UsageError(errors[0] ?? 'JSON parse error, premature EOI');
  return value;
}
