/** Abbreviated options, as getopt_long takes them: `--pid` is `--pidfile` where no other option begins so. */

/** An option of the command: its long name, and whether a value follows. */
export type LongOption = { readonly long: string; readonly takesValue: boolean };

/** `args` with abbreviated long options in full. What is ambiguous or unknown stays, for the parser to refuse. */
export function expandAbbreviations(args: readonly string[], options: readonly LongOption[]): string[] {
  const expanded: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] as string;
    if (argument === '--') return [...expanded, ...args.slice(at)];
    const [, given = '', value = ''] = /^(--[^=]+)(=.*)?$/s.exec(argument) ?? [];
    const option = given === '' ? undefined : findOption(given, options);
    expanded.push(option === undefined ? argument : option.long + value);
    // The value is not looked at, even where it looks like an option.
    const next = args[at + 1];
    if (option?.takesValue === true && value === '' && next !== undefined) {
      expanded.push(next);
      at += 1;
    }
  }
  return expanded;
}

function findOption(given: string, options: readonly LongOption[]): LongOption | undefined {
  const exact = options.find(({ long }) => long === given);
  const candidates = options.filter(({ long }) => long.startsWith(given));
  const isOne = new Set(candidates.map(({ long }) => long)).size === 1;
  return exact ?? (isOne ? candidates[0] : undefined);
}
