import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NewcArchive } from './newc-archive.ts';

type Parsed = { readonly name: string; readonly mode: number; readonly device: string; readonly content: string };

/** What the kernel reads: an entry begins at every multiple of four. */
function parse(archive: Buffer): Parsed[] {
  const entries: Parsed[] = [];
  let at = 0;
  while (at < archive.length) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701');
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, length, nameLength] = [field(1), field(6), field(11)];
    const name = archive.toString('latin1', at + 110, at + 110 + nameLength - 1);
    assert.equal(archive[at + 110 + nameLength - 1], 0);
    const content = Math.ceil((at + 110 + nameLength) / 4) * 4;
    const text = archive.toString('latin1', content, content + length);
    entries.push({ name, mode, device: `${field(9)}:${field(10)}`, content: text });
    at = Math.ceil((content + length) / 4) * 4;
  }
  return entries;
}

test('an archive has each folder before what lies in it, and ends with the trailer', () => {
  const archive = new NewcArchive();
  archive.addFile('bin/busybox', 'abcde');
  archive.addSymlink('bin/sh', 'busybox');
  archive.addCharacterDevice('dev/console', 5, 1);
  archive.addFolder('proc');
  assert.deepEqual(parse(archive.toBuffer()), [
    { name: 'bin', mode: 0o040755, device: '0:0', content: '' },
    { name: 'bin/busybox', mode: 0o100755, device: '0:0', content: 'abcde' },
    { name: 'bin/sh', mode: 0o120777, device: '0:0', content: 'busybox' },
    { name: 'dev', mode: 0o040755, device: '0:0', content: '' },
    { name: 'dev/console', mode: 0o020600, device: '5:1', content: '' },
    { name: 'proc', mode: 0o040755, device: '0:0', content: '' },
    { name: 'TRAILER!!!', mode: 0, device: '0:0', content: '' },
  ]);
});

test('a path from the root is refused', () => {
  assert.throws(() => new NewcArchive().addFile('/init', ''), /'\/init' is no path of an archive/);
});
