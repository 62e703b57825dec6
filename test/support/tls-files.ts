/** TlsFiles: certificates made by certtool and keys made by psktool, in a folder of their own, for one test file. */

import { execFile } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TemporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);

/** Expired long ago on any clock that runs. */
const EXPIRED = ['activation_date = "2001-01-01 00:00:00 UTC"', 'expiration_date = "2002-01-01 00:00:00 UTC"'];
const VALID = ['expiration_days = 10'];

export class TlsFiles implements AsyncDisposable {
  /** ca-cert.pem, server-*.pem for localhost, 127.0.0.1 and ::1, client-*.pem. */
  readonly directory: string;
  /** As `directory`, with a server's certificate for the host elsewhere.example. */
  readonly otherHost: string;
  /** Signed by another authority. */
  readonly stranger: string;
  /** As `directory`, with a server's certificate that has expired. */
  readonly expired: string;
  /** As `directory`, with a ca-crl.pem that takes back the client's certificate. */
  readonly revoking: string;
  /** The keys of alice and bob. */
  readonly keys: string;
  readonly #folder: TemporaryFolder;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
    this.directory = folder.file('pki');
    this.otherHost = folder.file('other-host');
    this.stranger = folder.file('stranger');
    this.expired = folder.file('expired');
    this.revoking = folder.file('revoking');
    this.keys = folder.file('keys.psk');
  }

  static async create(): Promise<TlsFiles> {
    const files = new TlsFiles(await TemporaryFolder.create('memory'));
    await files.#makeAuthority(files.directory);
    await files.#makeAuthority(files.stranger);
    await Promise.all([
      files.#sign(files.directory, 'server', ['dns_name = "localhost"', ...LOOPBACK, ...VALID]),
      files.#sign(files.directory, 'client', VALID),
      files.#sign(files.stranger, 'server', ['dns_name = "localhost"', ...LOOPBACK, ...VALID]),
      files.#sign(files.stranger, 'client', VALID),
    ]);
    for (const variant of [files.otherHost, files.expired, files.revoking]) await files.#copy(variant);
    await files.#sign(files.otherHost, 'server', ['dns_name = "elsewhere.example"', ...VALID]);
    await files.#sign(files.expired, 'server', ['dns_name = "localhost"', ...EXPIRED]);
    await files.#revokeClient();
    for (const name of ['alice', 'bob']) await run('psktool', ['-u', name, '-p', files.keys]);
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }

  async #makeAuthority(directory: string): Promise<void> {
    await mkdir(directory);
    const template = join(directory, 'ca.info');
    await writeFile(
      template,
      ['cn = "Test authority"', 'ca', 'cert_signing_key', 'crl_signing_key', ...VALID].join('\n'),
    );
    await makeKey(join(directory, 'ca-key.pem'));
    await run('certtool', [
      '--generate-self-signed',
      ...['--template', template, '--load-privkey', join(directory, 'ca-key.pem')],
      ...['--outfile', join(directory, 'ca-cert.pem')],
    ]);
  }

  async #sign(directory: string, role: 'server' | 'client', lines: readonly string[]): Promise<void> {
    const usage = role === 'server' ? 'tls_www_server' : 'tls_www_client';
    const template = join(directory, `${role}.info`);
    await writeFile(template, [`cn = "Test ${role}"`, usage, 'signing_key', 'encryption_key', ...lines].join('\n'));
    await makeKey(join(directory, `${role}-key.pem`));
    await run('certtool', [
      '--generate-certificate',
      ...['--template', template, '--load-privkey', join(directory, `${role}-key.pem`)],
      ...['--load-ca-certificate', join(directory, 'ca-cert.pem')],
      ...['--load-ca-privkey', join(directory, 'ca-key.pem')],
      ...['--outfile', join(directory, `${role}-cert.pem`)],
    ]);
  }

  async #copy(variant: string): Promise<void> {
    await mkdir(variant);
    for (const name of ['ca-cert', 'ca-key', 'server-cert', 'server-key', 'client-cert', 'client-key']) {
      await copyFile(join(this.directory, `${name}.pem`), join(variant, `${name}.pem`));
    }
  }

  async #revokeClient(): Promise<void> {
    const template = join(this.revoking, 'crl.info');
    await writeFile(template, 'crl_next_update = 10\n');
    await run('certtool', [
      '--generate-crl',
      ...['--template', template, '--load-certificate', join(this.revoking, 'client-cert.pem')],
      ...['--load-ca-certificate', join(this.revoking, 'ca-cert.pem')],
      ...['--load-ca-privkey', join(this.revoking, 'ca-key.pem')],
      ...['--outfile', join(this.revoking, 'ca-crl.pem')],
    ]);
  }
}

const LOOPBACK = ['ip_address = "127.0.0.1"', 'ip_address = "::1"'];

async function makeKey(path: string): Promise<void> {
  await run('certtool', ['--generate-privkey', '--key-type', 'ecdsa', '--curve', 'secp256r1', '--outfile', path]);
}
