/** Addresses of memory, for calls to the C library that are made once a request and take no Buffer apart. */

import { memmove } from './libc.ts';

const addresses = new WeakMap<Buffer, number>();

/**
 * Where the bytes of `buffer` begin. They stay there as long as somebody holds the buffer; the address is kept with the
 * object, so ask for buffers that are used again. Below 2^48, so exact as a number.
 */
export function addressOf(buffer: Buffer): number {
  return addresses.get(buffer) ?? findAddress(buffer);
}

function findAddress(buffer: Buffer): number {
  // Asking for the ArrayBuffer moves a small array's bytes out of the garbage collector's reach.
  void buffer.buffer;
  // memmove returns its target.
  const address = Number(memmove(buffer, buffer, 0));
  addresses.set(buffer, address);
  return address;
}
