/** Holes that were reported of other NBD programs; a test names in its title the one that it tries on Colobus. */

export type Report = { readonly id: string; readonly program: string; readonly text: string };

const ROWS: readonly (readonly [id: string, program: string, text: string])[] = [
  ['CVE-2005-3534', 'nbd-server', 'the length of a request overflows a buffer'],
  ['CVE-2011-0530', 'nbd-server', 'the length of a request overflows a buffer, again'],
  ['CVE-2011-1925', 'nbd-server', 'a negotiation that fails ends the server'],
  ['CVE-2013-6410', 'nbd-server', 'an address is admitted that only begins like an allowed one'],
  ['CVE-2013-7441', 'nbd-server', 'an unknown export or an early leave ends the server'],
  ['CVE-2015-0847', 'nbd-server', 'a signal hangs the server'],
  ['CVE-2022-26495', 'nbd-server', 'a name length of 2^32 - 1 overflows the heap'],
  ['CVE-2022-26496', 'nbd-server', 'a long name overflows the stack'],
  ['CVE-2017-7539', 'qemu-nbd', 'unexpected options end the server'],
  ['CVE-2017-9524', 'qemu-nbd', 'a client that leaves at once ends the server'],
  ['CVE-2017-15118', 'qemu-nbd', 'a long name overflows the stack'],
  ['CVE-2017-15119', 'qemu-nbd', 'huge options waste the time of the server'],
  ['CVE-2017-2630', 'QEMU’s client', 'the length of a listed export overflows a buffer'],
  ['CVE-2020-10761', 'qemu-nbd', 'a long name in an error text ends the server'],
  ['CVE-2024-7409', 'qemu-nbd', 'idle half-open connections hold up the server and its stop'],
  ['CVE-2019-14850', 'nbdkit', 'the disk is opened before the negotiation'],
  ['CVE-2019-14851', 'nbdkit', 'INFO and GO in a strange order end the server'],
  ['CVE-2021-3716', 'nbdkit', 'plain text before TLS counts after it'],
  ['CVE-2025-47711', 'nbdkit', 'a status of 2^32 - 1 bytes ends the server'],
  ['CVE-2025-47712', 'nbdkit', 'extents near 4 GiB overflow'],
  ['nbdkit blocksize-policy', 'nbdkit', 'an unaligned status ends the server'],
  ['nbdkit 1.32.5 file', 'nbdkit', 'FAST_ZERO that was not advertised ends the server'],
  ['nbdkit 1.32.5 over TLS', 'nbdkit', 'the payload of a refused write is drained below TLS'],
  ['CVE-2019-14842', 'libnbd', 'required TLS is given up'],
  ['libnbd, October 2019', 'libnbd', 'a chunk outside of the request overflows its buffer'],
  ['CVE-2021-20286', 'libnbd', 'an error in answer to an option ends the client'],
  ['CVE-2022-0485', 'nbdcopy', 'a read that failed is copied as if it had not'],
  ['CVE-2023-5215', 'libnbd', 'a size above 2^63 is taken for a negative one'],
  ['CVE-2023-5871', 'libnbd', 'a status of 64 bits ends the client'],
  ['libnbd, July 2023', 'libnbd', 'a status without progress hangs the client'],
  ['CVE-2024-7383', 'libnbd', 'a certificate is not checked in full'],
  ['CVE-2025-14946', 'libnbd', 'a URI starts a program'],
  ['CVE-2025-40080', 'Linux', 'any kind of socket is taken'],
  ['CVE-2025-14831', 'GnuTLS', 'a certificate of many names takes the time of the peer'],
];

export const REPORTS: readonly Report[] = ROWS.map(([id, program, text]) => ({ id, program, text }));
