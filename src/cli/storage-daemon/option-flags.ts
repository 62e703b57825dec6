/**
 * The flags of QEMU's older option syntax, which `--chardev` has: `server` is `server=on` and `nowait` is `wait=off`.
 *
 * Source: QEMU util/qemu-option.c; such flags are deprecated and users' scripts have them.
 */

/** `text` with its flags spelled out; the first value may be one without a key, which stays as it is. */
export function spellOutFlags(text: string): string {
  return splitParameters(text)
    .map((parameter, index) => (index === 0 || parameter.includes('=') ? parameter : spellOut(parameter)))
    .join(',');
}

function spellOut(flag: string): string {
  return /^no./.test(flag) && flag !== 'nodelay' ? `${flag.slice(2)}=off` : `${flag}=on`;
}

/** At single commas; doubled ones stay doubled. */
function splitParameters(text: string): readonly string[] {
  return text.split(/(?<=(?<!,)(?:,,)*),(?!,)/);
}
