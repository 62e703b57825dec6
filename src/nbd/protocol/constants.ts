/**
 * Numbers of the NBD protocol, with the names of the specification (NBD proto.md, Values).
 *
 * 64-bit magics are given as their two 32-bit halves; everything on the wire is big-endian.
 */

/** IANA's port for NBD. */
export const NBD_DEFAULT_PORT = 10809;

export const NBDMAGIC_HI = 0x4e42444d;
export const NBDMAGIC_LO = 0x41474943;
export const IHAVEOPT_HI = 0x49484156;
export const IHAVEOPT_LO = 0x454f5054;
/** Second half of the greeting of the oldstyle negotiation, which Colobus does not speak. */
export const OLDSTYLE_MAGIC_HI = 0x00004202;
export const OLDSTYLE_MAGIC_LO = 0x81861253;
export const NBD_OPTION_REPLY_MAGIC_HI = 0x0003e889;
export const NBD_OPTION_REPLY_MAGIC_LO = 0x045565a9;
export const NBD_REQUEST_MAGIC = 0x25609513;
export const NBD_SIMPLE_REPLY_MAGIC = 0x67446698;
export const NBD_STRUCTURED_REPLY_MAGIC = 0x668e33ef;
/** The two magics of extended headers (NBD proto.md, branch extension-ext-header). */
export const NBD_EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const NBD_EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Handshake flags of the server. */
export const NBD_FLAG_FIXED_NEWSTYLE = 0x1;
export const NBD_FLAG_NO_ZEROES = 0x2;
/** Handshake flags of the client. */
export const NBD_FLAG_C_FIXED_NEWSTYLE = 0x1;
export const NBD_FLAG_C_NO_ZEROES = 0x2;

/** Options. */
export const NBD_OPT_EXPORT_NAME = 1;
export const NBD_OPT_ABORT = 2;
export const NBD_OPT_LIST = 3;
export const NBD_OPT_STARTTLS = 5;
export const NBD_OPT_INFO = 6;
export const NBD_OPT_GO = 7;
export const NBD_OPT_STRUCTURED_REPLY = 8;
export const NBD_OPT_LIST_META_CONTEXT = 9;
export const NBD_OPT_SET_META_CONTEXT = 10;
export const NBD_OPT_EXTENDED_HEADERS = 11;

/** Option replies. */
export const NBD_REP_ACK = 1;
export const NBD_REP_SERVER = 2;
export const NBD_REP_INFO = 3;
export const NBD_REP_META_CONTEXT = 4;
/** Set in every option reply that is an error. */
export const NBD_REP_FLAG_ERROR = 0x80000000;
export const NBD_REP_ERR_UNSUP = 0x80000001;
export const NBD_REP_ERR_POLICY = 0x80000002;
export const NBD_REP_ERR_INVALID = 0x80000003;
export const NBD_REP_ERR_PLATFORM = 0x80000004;
export const NBD_REP_ERR_TLS_REQD = 0x80000005;
export const NBD_REP_ERR_UNKNOWN = 0x80000006;
export const NBD_REP_ERR_SHUTDOWN = 0x80000007;
export const NBD_REP_ERR_BLOCK_SIZE_REQD = 0x80000008;
export const NBD_REP_ERR_TOO_BIG = 0x80000009;
export const NBD_REP_ERR_EXT_HEADER_REQD = 0x8000000a;

/** Kinds of NBD_REP_INFO. */
export const NBD_INFO_EXPORT = 0;
export const NBD_INFO_NAME = 1;
export const NBD_INFO_DESCRIPTION = 2;
export const NBD_INFO_BLOCK_SIZE = 3;

/** Transmission flags of an export. */
export const NBD_FLAG_HAS_FLAGS = 0x1;
export const NBD_FLAG_READ_ONLY = 0x2;
export const NBD_FLAG_SEND_FLUSH = 0x4;
export const NBD_FLAG_SEND_FUA = 0x8;
export const NBD_FLAG_ROTATIONAL = 0x10;
export const NBD_FLAG_SEND_TRIM = 0x20;
export const NBD_FLAG_SEND_WRITE_ZEROES = 0x40;
export const NBD_FLAG_SEND_DF = 0x80;
export const NBD_FLAG_CAN_MULTI_CONN = 0x100;
export const NBD_FLAG_SEND_RESIZE = 0x200;
export const NBD_FLAG_SEND_CACHE = 0x400;
export const NBD_FLAG_SEND_FAST_ZERO = 0x800;
export const NBD_FLAG_BLOCK_STATUS_PAYLOAD = 0x1000;

/** Commands. */
export const NBD_CMD_READ = 0;
export const NBD_CMD_WRITE = 1;
export const NBD_CMD_DISC = 2;
export const NBD_CMD_FLUSH = 3;
export const NBD_CMD_TRIM = 4;
export const NBD_CMD_CACHE = 5;
export const NBD_CMD_WRITE_ZEROES = 6;
export const NBD_CMD_BLOCK_STATUS = 7;

/** Command flags. */
export const NBD_CMD_FLAG_FUA = 0x1;
export const NBD_CMD_FLAG_NO_HOLE = 0x2;
export const NBD_CMD_FLAG_DF = 0x4;
export const NBD_CMD_FLAG_REQ_ONE = 0x8;
export const NBD_CMD_FLAG_FAST_ZERO = 0x10;
export const NBD_CMD_FLAG_PAYLOAD_LEN = 0x20;

/** Structured reply chunks. */
export const NBD_REPLY_FLAG_DONE = 0x1;
export const NBD_REPLY_TYPE_NONE = 0;
export const NBD_REPLY_TYPE_OFFSET_DATA = 1;
export const NBD_REPLY_TYPE_OFFSET_HOLE = 2;
export const NBD_REPLY_TYPE_BLOCK_STATUS = 5;
export const NBD_REPLY_TYPE_BLOCK_STATUS_EXT = 6;
/** Set in every chunk type that is an error. */
export const NBD_REPLY_TYPE_ERROR_BIT = 0x8000;
export const NBD_REPLY_TYPE_ERROR = 0x8001;
export const NBD_REPLY_TYPE_ERROR_OFFSET = 0x8002;

/** Extent flags of the context `base:allocation`. */
export const NBD_STATE_HOLE = 0x1;
export const NBD_STATE_ZERO = 0x2;
export const BASE_ALLOCATION = 'base:allocation';
/** Its status is how far below the exported node the data lie: 0 unallocated, 1 in the node itself, 2 one below. */
export const QEMU_ALLOCATION_DEPTH = 'qemu:allocation-depth';
/** The name of a dirty bitmap follows; its status is 1 for dirty. */
export const QEMU_DIRTY_BITMAP = 'qemu:dirty-bitmap:';

/** Error numbers on the wire. */
export const NBD_EPERM = 1;
export const NBD_EIO = 5;
export const NBD_ENOMEM = 12;
export const NBD_EINVAL = 22;
export const NBD_ENOSPC = 28;
export const NBD_EOVERFLOW = 75;
export const NBD_ENOTSUP = 95;
export const NBD_ESHUTDOWN = 108;

/** Longest string either side may send, in bytes. */
export const NBD_MAX_STRING_BYTES = 4096;
/** Longest payload a peer may count on where no block size was negotiated. */
export const NBD_MAX_PAYLOAD_BYTES = 0x2000000;
