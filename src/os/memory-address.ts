/** Addresses of memory, for calls to the C library that are made once a request and take no Buffer apart. */

import { assert } from '../base/assert.ts';
import { memmove } from './libc.ts';

const addresses = new WeakMap<Buffer, number>();

/**
 * Where the bytes of `buffer` begin. They stay there as long as somebody holds the buffer; the address is kept with the
 * object, so ask for buffers that are used again. Below 2^48, so exact as a number.
 */
export function addressOf(buffer: Buffer): number {
  return addresses.get(buffer) ?? findAddress(buffer);
}

/** Where byte `at` of `buffer` lies, if all of the `length` bytes from there on are the buffer's: no other may be named. */
export function addressOfRange(buffer: Buffer, at: number, length: number): number {
  assert(at >= 0 && length >= 0 && at + length <= buffer.length, 'A system call is given memory of its buffer only');
  return addressOf(buffer) + at;
}

function findAddress(buffer: Buffer): number {
  // Asking for the ArrayBuffer moves a small array's bytes out of the garbage collector's reach.
  void buffer.buffer;
  // memmove returns its target.
  const address = Number(memmove(buffer, buffer, 0));
  addresses.set(buffer, address);
  return address;
}
