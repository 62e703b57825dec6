/**
 * How QEMU runs the guest: with KVM where a guest really runs on it, else by emulation (TCG).
 *
 * That /dev/kvm is there says little: in a virtual machine it may be there and no guest ever print a character.
 */

import { accessSync, constants } from 'node:fs';

export type Accelerator = 'kvm' | 'tcg';

/** Forces one: `tcg` or `kvm`. */
const VARIABLE = 'COLOBUS_GUEST_ACCELERATOR';

let chosen: Promise<Accelerator> | null = null;

/** Asked for the first time, tries KVM with `boots`, which tells whether a guest gets as far as its first line. */
export function accelerator(boots: (accelerator: Accelerator) => Promise<boolean>): Promise<Accelerator> {
  chosen ??= choose(boots);
  return chosen;
}

async function choose(boots: (accelerator: Accelerator) => Promise<boolean>): Promise<Accelerator> {
  const forced = process.env[VARIABLE];
  if (forced === 'kvm' || forced === 'tcg') return forced;
  if (forced !== undefined) throw new Error(`${VARIABLE} is '${forced}'; it takes 'tcg' or 'kvm'`);
  return hasDevice() && (await boots('kvm')) ? 'kvm' : 'tcg';
}

function hasDevice(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
