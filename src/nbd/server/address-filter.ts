/**
 * AddressFilter: the addresses that TCP clients may come from.
 *
 * A rule is an address or a network with its prefix length, such as 10.0.0.1 or fe80::/10, and is compared bit by bit:
 * 10.0.0.1 does not let 10.0.0.10 in. An IPv4 address that IPv6 carries (::ffff:10.0.0.1) counts as the IPv4 address.
 */

import { BlockList, isIP, SocketAddress } from 'node:net';
import { UsageError } from '../../base/errors.ts';

type Family = 'ipv4' | 'ipv6';
type Address = { readonly text: string; readonly family: Family; readonly wasMapped: boolean };

const BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };
/** Bits of an IPv6 address that carries an IPv4 one, before that. */
const MAPPED_PREFIX_BITS = 96;

export class AddressFilter {
  readonly #allowed = new BlockList();

  /** Throws UsageError naming the rule that is none. */
  constructor(rules: readonly string[]) {
    for (const rule of rules) this.#allow(rule);
  }

  /** True where a client at `remoteAddress`, as a socket has it, may come in. */
  admits(remoteAddress: string): boolean {
    const address = parseAddress(remoteAddress.replace(/%.*$/, ''));
    return address !== null && this.#allowed.check(address.text, address.family);
  }

  #allow(rule: string): void {
    const [text = '', prefix, ...rest] = rule.split('/');
    const address = parseAddress(text);
    if (address === null || rest.length > 0) throw badRule(rule);
    const { family, wasMapped } = address;
    if (prefix === undefined) {
      this.#allowed.addAddress(address.text, family);
      return;
    }
    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) - (wasMapped ? MAPPED_PREFIX_BITS : 0) : -1;
    if (bits < 0 || bits > BITS[family]) throw badRule(rule);
    this.#allowed.addSubnet(address.text, bits, family);
  }
}

/** In the one form that the system writes it in; null where `text` is no address. */
function parseAddress(text: string): Address | null {
  const version = isIP(text);
  if (version === 0) return null;
  if (version === 4) return { text, family: 'ipv4', wasMapped: false };
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped === undefined
    ? { text: address, family: 'ipv6', wasMapped: false }
    : { text: mapped, family: 'ipv4', wasMapped: true };
}

function badRule(rule: string): UsageError {
  return new UsageError(`'${rule}' is not an address or a network; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32`);
}
