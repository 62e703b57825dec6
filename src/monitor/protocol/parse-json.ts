/** One JSON value as a text of its own, such as an argument on the command line: in the monitor's dialect and words. */

import { UsageError } from '../../base/errors.ts';
import { JsonReader } from './json-reader.ts';
import type { JsonValue } from './json-value.ts';

/** The value in `text`, with whole numbers that are written as none as symbols; throws UsageError where it is none. */
export function parseJson(text: string): JsonValue {
  let value: JsonValue | undefined;
  let error: string | null = null;
  const fail = (description: string): void => {
    error ??= value === undefined ? description : 'Expecting at most one JSON value';
  };
  const reader = new JsonReader(
    {
      onValue: found => {
        if (error === null && value === undefined) value = found;
        else fail('');
      },
      onError: fail,
    },
    { tellsIntegers: true },
  );
  reader.feed(Buffer.from(text));
  reader.end();
  if (error !== null) throw new UsageError(error);
  if (value === undefined) throw new UsageError('Expecting a JSON value');
  return value;
}
