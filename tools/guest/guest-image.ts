/**
 * GuestImage: the guest's kernel and initramfs, made from Debian's packages in a folder that git ignores.
 *
 * Made once: the initramfs lies in a folder named after all it is made from, so that a change of any of it makes a new one.
 */

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { dependencies, fetchPackages, packageFiles, unpackPackage, updatePackageLists } from './debian-packages.ts';
import { modulesInOrder } from './kernel-modules.ts';
import { NewcArchive } from './newc-archive.ts';

/** The newest kernel for virtual machines is what this one depends on. */
const KERNEL_PACKAGE = 'linux-image-cloud-amd64';
const MODULES = ['virtio_pci', 'virtio_blk'];
/** To be counted up when the same packages and scripts give another initramfs. */
const FORMAT = 1;

type Source = { readonly name: string; readonly files: readonly (readonly [from: string, to: string])[] };

const LIBRARIES = 'lib/x86_64-linux-gnu';

/** Packages beside the kernel, and what the guest has of them. */
const SOURCES: readonly Source[] = [
  { name: 'busybox-static', files: [['bin/busybox', 'bin/busybox']] },
  {
    name: 'e2fsprogs',
    files: [
      ['sbin/mke2fs', 'sbin/mkfs.ext4'],
      ['sbin/e2fsck', 'sbin/e2fsck'],
      ['etc/mke2fs.conf', 'etc/mke2fs.conf'],
    ],
  },
  {
    name: 'libext2fs2',
    files: [
      [`${LIBRARIES}/libext2fs.so.2`, 'lib/libext2fs.so.2'],
      [`${LIBRARIES}/libe2p.so.2`, 'lib/libe2p.so.2'],
    ],
  },
  { name: 'libcom-err2', files: [[`${LIBRARIES}/libcom_err.so.2`, 'lib/libcom_err.so.2']] },
  { name: 'libblkid1', files: [[`usr/${LIBRARIES}/libblkid.so.1`, 'lib/libblkid.so.1']] },
  { name: 'libuuid1', files: [[`usr/${LIBRARIES}/libuuid.so.1`, 'lib/libuuid.so.1']] },
  {
    name: 'libc6',
    files: [
      [`${LIBRARIES}/libc.so.6`, 'lib/libc.so.6'],
      [`${LIBRARIES}/ld-linux-x86-64.so.2`, 'lib64/ld-linux-x86-64.so.2'],
    ],
  },
];

/** Programs of busybox that the script calls. */
const APPLETS = [
  ...['sh', 'mount', 'umount', 'insmod', 'stty', 'sync', 'mv', 'rm', 'touch', 'wc', 'truncate', 'fsfreeze', 'poweroff'],
];

/** Below the project's folder. */
const CACHE = '.cache/guest';
const INIT = 'tools/guest/init';

export class GuestImage {
  readonly #cacheFolder: string;
  readonly #packagesFolder: string;
  readonly #init: Buffer;

  private constructor(projectRoot: string) {
    this.#cacheFolder = join(projectRoot, CACHE);
    this.#packagesFolder = join(this.#cacheFolder, 'packages');
    this.#init = readFileSync(join(projectRoot, INIT));
  }

  /** The image of the checkout at `projectRoot`, whether it is there or not. */
  static of(projectRoot: string): GuestImage {
    return new GuestImage(projectRoot);
  }

  isThere(): boolean {
    const files = this.#presentPackages();
    return files !== null && existsSync(this.#folder(files));
  }

  /** Makes it where it is not there; returns its folder. Throws where the packages cannot be fetched. */
  make(): string {
    mkdirSync(this.#packagesFolder, { recursive: true });
    const files = this.#presentPackages() ?? this.#fetchPackages();
    const folder = this.#folder(files);
    if (existsSync(folder)) return folder;
    const paths = files.map(file => join(this.#packagesFolder, file));
    makeImage(this.#cacheFolder, folder, paths, this.#init);
    return folder;
  }

  /** Paths of what QEMU boots; makes it where it is not there. */
  paths(): { readonly kernel: string; readonly initramfs: string } {
    const folder = this.make();
    return { kernel: join(folder, 'vmlinuz'), initramfs: join(folder, 'initramfs') };
  }

  /** The folder of the image that these packages give. */
  #folder(packages: readonly string[]): string {
    const madeFrom = JSON.stringify([FORMAT, packages, MODULES, SOURCES, APPLETS]);
    const key = createHash('sha256').update(madeFrom).update(this.#init).digest('hex');
    return join(this.#cacheFolder, key.slice(0, 16));
  }

  /** The packages' files, the kernel's first; null where one is missing. */
  #presentPackages(): string[] | null {
    const [meta] = packageFiles(this.#packagesFolder, [KERNEL_PACKAGE]) ?? [];
    if (meta === undefined) return null;
    const kernel = kernelOf(join(this.#packagesFolder, meta));
    return packageFiles(this.#packagesFolder, [kernel, ...SOURCES.map(source => source.name)]);
  }

  /** All or none: what was cut short must not be taken for a package the next time. */
  #fetchPackages(): string[] {
    if (process.getuid?.() === 0) updatePackageLists();
    const fetched = mkdtempSync(join(this.#cacheFolder, 'fetched-'));
    try {
      fetchPackages(fetched, [KERNEL_PACKAGE, ...SOURCES.map(source => source.name)]);
      const [meta] = packageFiles(fetched, [KERNEL_PACKAGE]) ?? [];
      if (meta !== undefined) fetchPackages(fetched, [kernelOf(join(fetched, meta))]);
      for (const file of readdirSync(fetched)) renameSync(join(fetched, file), join(this.#packagesFolder, file));
    } finally {
      rmSync(fetched, { recursive: true, force: true });
    }
    const files = this.#presentPackages();
    if (files === null) throw new Error(`apt-get left not all packages in ${this.#packagesFolder}`);
    return files;
  }
}

function kernelOf(metaPackage: string): string {
  const kernel = dependencies(metaPackage).find(name => name.startsWith('linux-image-'));
  if (kernel === undefined) throw new Error(`${metaPackage} depends on no kernel`);
  return kernel;
}

function makeImage(cacheFolder: string, folder: string, files: readonly string[], init: Buffer): void {
  const unpacked = mkdtempSync(join(cacheFolder, 'unpacked-'));
  const made = mkdtempSync(join(cacheFolder, 'made-'));
  try {
    for (const file of files) unpackPackage(file, unpacked);
    const kernel = readdirSync(join(unpacked, 'boot')).find(file => file.startsWith('vmlinuz-'));
    if (kernel === undefined) throw new Error(`${files[0]} holds no kernel`);
    copyFileSync(join(unpacked, 'boot', kernel), join(made, 'vmlinuz'));
    writeFileSync(join(made, 'initramfs'), initramfs(unpacked, init));
    renameSync(made, folder);
  } finally {
    for (const left of [unpacked, made]) rmSync(left, { recursive: true, force: true });
  }
}

function initramfs(unpacked: string, init: Buffer): Buffer {
  const archive = new NewcArchive();
  for (const folder of ['dev', 'proc', 'run', 'disk', 'etc']) archive.addFolder(folder);
  archive.addCharacterDevice('dev/console', 5, 1);
  for (const { files } of SOURCES) {
    for (const [from, to] of files) archive.addFile(to, readFileSync(join(unpacked, from)));
  }
  for (const applet of APPLETS) archive.addSymlink(`bin/${applet}`, 'busybox');
  const modules = modulesInOrder(join(unpacked, 'lib/modules'), MODULES);
  for (const module of modules) archive.addFile(`modules/${basename(module)}`, readFileSync(module));
  archive.addFile('modules/order', modules.map(module => `${basename(module)}\n`).join(''));
  archive.addFile('etc/mtab', '');
  archive.addFile('init', init);
  return archive.toBuffer();
}
