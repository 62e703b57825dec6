/** All rules, in the order of the specification. */

import { EXTENDED_SECTIONS } from './extended-rules.ts';
import { HANDSHAKE_SECTIONS } from './handshake-rules.ts';
import type { Section } from './rule.ts';
import { TRANSMISSION_SECTIONS } from './transmission-rules.ts';
import { VALUE_SECTIONS } from './value-rules.ts';

export const SECTIONS: readonly Section[] = [
  ...HANDSHAKE_SECTIONS,
  ...VALUE_SECTIONS,
  ...TRANSMISSION_SECTIONS,
  ...EXTENDED_SECTIONS,
];
