import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PidFile } from './pid-file.ts';

describe('PidFile', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'colobus-pid-file-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  it("has this process's id and a newline, and is removed at the end", async () => {
    const path = join(directory, 'a.pid');
    {
      await using _file = await PidFile.create(path);
      assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
    }
    assert.equal(existsSync(path), false);
    assert.deepEqual(readdirSync(directory), []);
  });

  it('is refused to a second daemon while the first lives', async () => {
    const path = join(directory, 'b.pid');
    await using _file = await PidFile.create(path);
    await assert.rejects(PidFile.checkFree(path), /belongs to a process that runs/);
    await assert.rejects(PidFile.create(path), /belongs to a process that runs/);
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  });

  it('replaces what a crashed daemon left behind', async () => {
    const path = join(directory, 'c.pid');
    writeFileSync(path, '1\n');
    await PidFile.checkFree(path);
    await using _file = await PidFile.create(path);
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  });

  it('refuses a path where no file can be, and leaves nothing behind', async () => {
    const folder = join(directory, 'd.pid');
    mkdirSync(folder);
    await assert.rejects(PidFile.create(folder), /is not a file; choose another path/);
    await assert.rejects(PidFile.create(join(directory, 'missing', 'e.pid')), /cannot be written/);
    assert.deepEqual(readdirSync(directory), ['d.pid']);
  });
});
