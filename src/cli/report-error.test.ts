import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UsageError } from '../base/errors.ts';
import { CliError, errorLine } from './report-error.ts';

describe('errorLine', () => {
  it("takes the remedy from behind the message's last semicolon", () => {
    const error = new CliError(new UsageError("Image 'a; b' is empty; give it a size"), 'colobus serve a', 'see help');
    assert.equal(errorLine(error), "colobus: Image 'a; b' is empty, colobus serve a, give it a size");
  });

  it('takes the remedy of the command where the message has none', () => {
    const error = new CliError(new Error('Unknown option'), 'command line', 'see help');
    assert.equal(errorLine(error), 'colobus: Unknown option, command line, see help');
  });

  it('is one line whatever the message', () => {
    assert.equal(errorLine(new CliError('a\n  b\r\nc', 'x', 'y')), 'colobus: a b c, x, y');
    assert.equal(errorLine('thrown text'), 'colobus: thrown text, colobus, report this with --log-level debug');
  });
});
