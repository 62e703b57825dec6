/** `colobus info`: what an NBD server tells of itself and its exports. */

import { Command } from 'commander';
import { UsageError } from '../../base/errors.ts';
import type { NbdUri } from '../../nbd/uri.ts';
import { addClientTlsOptions, type ClientTlsOptions, looksLikeNbdUri, parseUris } from '../client-tls.ts';
import { CliError } from '../report-error.ts';
import { type InfoOptions, infoOf } from './info.ts';

type CommandOptions = ClientTlsOptions & InfoOptions;

export function infoCommand(): Command {
  const command = new Command('info')
    .summary('show what an NBD server tells of its exports')
    .description(
      'Shows size, abilities and metadata contexts of the export that URI names, nbd://HOST[:PORT]/EXPORT or ' +
        'nbd+unix:///EXPORT?socket=PATH; nbds and nbds+unix ask for TLS.',
    )
    .usage('[options] <uri>')
    .argument('[uri]', 'NBD URI of the export')
    .option('--json', 'print JSON with the keys of nbdinfo')
    .option('--list', 'show all exports of the server')
    .option('--map [context]', 'show the extents of a metadata context (default: base:allocation)')
    .option('--size', 'print the size in bytes alone')
    .option('--content', 'say what file(1) takes the first bytes for; so unless --list is given')
    .option('--no-content', 'read nothing of the export');
  return addClientTlsOptions(command).action(async (argument: string | undefined, given: CommandOptions) => {
    const [uri, options] = uriOf(argument, given);
    await info(uri, options).catch(cause => {
      const exitCode = cause instanceof UsageError ? 2 : 1;
      throw new CliError(cause, `colobus info ${uri}`, "see 'colobus info --help'", exitCode);
    });
  });
}

/** The parser takes the URI of `--map URI` for a context, which no context looks like. */
function uriOf(argument: string | undefined, options: CommandOptions): readonly [uri: string, options: CommandOptions] {
  if (argument !== undefined) return [argument, options];
  if (typeof options.map === 'string' && looksLikeNbdUri(options.map)) return [options.map, { ...options, map: true }];
  throw new CliError("Missing required argument 'uri'", 'colobus info', "see 'colobus info --help'");
}

async function info(text: string, options: CommandOptions): Promise<void> {
  const modes = [options.list, options.map, options.size].filter(mode => mode !== undefined);
  if (modes.length > 1) throw new UsageError('--list, --map and --size exclude each other; give one of them');
  const [uri] = parseUris([text], options) as readonly [NbdUri];
  const { text: output, failure } = await infoOf(uri, options);
  process.stdout.write(output);
  if (failure !== null) throw failure;
}
