/** NewcArchive: a cpio archive in the "newc" form that Linux unpacks as an initramfs (kernel docs, initramfs buffer format). */

const MAGIC = '070701';
const HEADER_BYTES = 110;
const TRAILER = 'TRAILER!!!';
const DIRECTORY = 0o040000;
const REGULAR = 0o100000;
const SYMLINK = 0o120000;
const CHARACTER_DEVICE = 0o020000;
const MAX_NAME_BYTES = 4096;

type Entry = {
  readonly name: string;
  readonly mode: number;
  readonly content: Buffer;
  readonly device: { readonly major: number; readonly minor: number };
};

const NO_DEVICE = { major: 0, minor: 0 };
const NOTHING: Buffer = Buffer.alloc(0);

export class NewcArchive {
  readonly #entries = new Map<string, Entry>();

  /** A file at `path`, which has no slash at its start; the folders it lies in are added. */
  addFile(path: string, content: Buffer | string, permissions: number = 0o755): void {
    this.#add({ name: path, mode: REGULAR | permissions, content: Buffer.from(content), device: NO_DEVICE });
  }

  addSymlink(path: string, target: string): void {
    this.#add({ name: path, mode: SYMLINK | 0o777, content: Buffer.from(target), device: NO_DEVICE });
  }

  addFolder(path: string): void {
    this.#add({ name: path, mode: DIRECTORY | 0o755, content: NOTHING, device: NO_DEVICE });
  }

  addCharacterDevice(path: string, major: number, minor: number): void {
    this.#add({ name: path, mode: CHARACTER_DEVICE | 0o600, content: NOTHING, device: { major, minor } });
  }

  /** The archive; the same for the same entries. */
  toBuffer(): Buffer {
    const pieces: Buffer[] = [];
    let inode = 1;
    for (const entry of this.#entries.values()) pieces.push(...encodeEntry(entry, inode++));
    pieces.push(...encodeEntry({ name: TRAILER, mode: 0, content: NOTHING, device: NO_DEVICE }, 0));
    return Buffer.concat(pieces);
  }

  #add(entry: Entry): void {
    const { name } = entry;
    if (name === '' || name.startsWith('/') || Buffer.byteLength(name) >= MAX_NAME_BYTES) {
      throw new RangeError(`'${name}' is no path of an archive`);
    }
    const slash = name.lastIndexOf('/');
    if (slash !== -1 && !this.#entries.has(name.slice(0, slash))) this.addFolder(name.slice(0, slash));
    this.#entries.set(name, entry);
  }
}

/**
 * Magic, then 13 numbers of eight hexadecimal digits: inode, mode, uid, gid, links, mtime, length, device (major, minor),
 * special device (major, minor), length of the name with its NUL, checksum. The name and the content follow, each padded
 * to a multiple of four bytes from the header's start.
 */
function encodeEntry({ name, mode, content, device }: Entry, inode: number): Buffer[] {
  const nameBytes = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, device.major, device.minor, nameBytes.length, 0];
  const header = MAGIC + fields.map(field => field.toString(16).padStart(8, '0')).join('');
  return [
    Buffer.from(header, 'latin1'),
    nameBytes,
    padding(HEADER_BYTES + nameBytes.length),
    content,
    padding(content.length),
  ];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
