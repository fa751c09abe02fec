/**
 * The command format that the host writes and the kernel threads read. Plain constants, so that both sides import this file.
 *
 * A command is 16 words of 32 bits: operation, number of work items, items claimed at a time, whether all threads meet
 * afterwards, 11 arguments, and the counter from which threads claim items.
 */
export const COMMAND_BYTES = 64;
export const COMMAND_ITEMS = 4;
export const COMMAND_CHUNK = 8;
export const COMMAND_BARRIER = 12;
export const COMMAND_ARGUMENTS = 16;
export const COMMAND_NEXT = 60;

export const OP_REPACK = 1;
export const OP_EMBED = 2;
export const OP_RMS_NORM = 3;
export const OP_MATMUL = 4;
export const OP_STORE_KEYS_VALUES = 5;
export const OP_ATTEND = 6;
export const OP_MERGE_PARTS = 7;
export const OP_SEAL = 8;
export const OP_SWIGLU = 9;
export const OP_SELECT_ROWS = 10;
export const OP_NORM_HEADS = 11;

/** The control block, shared by all threads: byte offsets. */
export const CONTROL_ARRIVED = 0;
export const CONTROL_PHASE = 4;
export const CONTROL_NUM_THREADS = 8;
/** Raised to start the command list; kernel threads wait on it. */
export const CONTROL_GENERATION = 12;
export const CONTROL_STOP = 16;
export const CONTROL_COMMANDS = 20;
export const CONTROL_NUM_COMMANDS = 24;
export const CONTROL_SCRATCH = 28;
export const CONTROL_SCRATCH_STRIDE = 32;
/** Threads that sleep, or are about to: waking is a call into the engine, which takes longer than most commands. */
export const CONTROL_SLEEPERS = 36;
export const CONTROL_BYTES = 64;

/** Weight types by their number in GGUF files, see weight-types.ts. */
export const TYPE_F32 = 0;
export const TYPE_F16 = 1;
export const TYPE_Q4_0 = 2;
export const TYPE_Q4_1 = 3;
export const TYPE_Q5_0 = 6;
export const TYPE_Q5_1 = 7;
export const TYPE_Q8_0 = 8;
export const TYPE_Q4_K = 12;
export const TYPE_Q5_K = 13;
export const TYPE_Q6_K = 14;
export const TYPE_BF16 = 30;

/** Rows of a packed weight strip; weights of a strip are interleaved. */
export const STRIP_ROWS = 16;

/** Of a product in float32: columns whose weights are float32 at a time, and rows of x whose sums are kept at a time. */
export const FLOAT_BLOCK_COLUMNS = 256;
export const FLOAT_STRIP_ROWS = 64;
/** Scratch of a thread for such a product: the weights of a block of columns, and the sums. */
export const FLOAT_SCRATCH_BYTES = 4 * STRIP_ROWS * (FLOAT_BLOCK_COLUMNS + FLOAT_STRIP_ROWS);

/** What attention needs to know of a format: byte offsets in its parameter block. Sizes of heads and pages are the same in all. */
export const ATTN_HEAD_DIM = 0;
export const ATTN_NUM_HEADS = 4;
export const ATTN_NUM_KV_HEADS = 8;
export const ATTN_PAGE_TOKENS = 12;
export const ATTN_SINK_TOKENS = 16;
/** Address of a record for each layer, see LAYER_*. */
export const ATTN_LAYERS = 20;
export const ATTN_ROPE_DIM = 24;
export const ATTN_ROTATE_K = 28;
export const ATTN_ROTATE_V = 32;
/** Sealed pages attended to before partial results are merged. */
export const ATTN_SPLIT_PAGES = 36;
export const ATTN_BYTES = 64;

/**
 * A layer's tiles: bits, then where a sealed page has their metadata and planes: the first head's K part, from a head to the next, from K to
 * V.
 */
export const LAYER_K_BITS = 0;
export const LAYER_V_BITS = 4;
export const LAYER_META = 8;
export const LAYER_PLANE0 = 20;
export const LAYER_PLANE1 = 32;
/** Within each of these three. */
export const PART_OFFSET = 0;
export const PART_STRIDE = 4;
export const PART_V = 8;
/** Addresses of [numKvHeads, d, d] float32, a matrix by columns, that heads of this kind are multiplied by; 0: none. */
export const LAYER_TRANSFORM_K = 44;
export const LAYER_TRANSFORM_Q = 48;
export const LAYER_TRANSFORM_V = 52;
export const LAYER_TRANSFORM_OUT = 56;
/** Address of [numKvHeads, d, d] float32: what a channel's error of K asks of the channels before; 0: nothing. */
export const LAYER_FEEDBACK = 60;
export const LAYER_BYTES = 64;

/** A segment of the step. */
export const SEGMENT_FIRST_ROW = 0;
export const SEGMENT_NUM_ROWS = 4;
export const SEGMENT_FIRST_POSITION = 8;
export const SEGMENT_OPEN_PAGE = 12;
export const SEGMENT_SINK_PAGE = 16;
export const SEGMENT_NUM_SEALED = 20;
/** Address of a list of page addresses. */
export const SEGMENT_SEALED_LIST = 24;
/** Address of the page to seal into, or 0. */
export const SEGMENT_SEAL_INTO = 28;
/** Partial results of a query row. */
export const SEGMENT_NUM_PARTS = 32;
/** Index of the segment's first partial result. */
export const SEGMENT_FIRST_PART = 36;
/** Address of the parameter block of the segment's format. */
export const SEGMENT_PARAMETERS = 40;
export const SEGMENT_BYTES = 64;

/** A row of the step. */
export const ROW_TOKEN = 0;
/** Address of the f16 page (open or sink) that takes the row's keys and values, its length, and the index in it. */
export const ROW_PAGE = 8;
export const ROW_PAGE_TOKENS = 12;
export const ROW_INDEX_IN_PAGE = 16;
/** Address of the segment. */
export const ROW_SEGMENT = 20;
export const ROW_BYTES = 32;

/** A unit of attention: some query rows of a segment, one KV head, some of the pages. */
export const UNIT_SEGMENT = 0;
export const UNIT_FIRST_ROW = 4;
export const UNIT_NUM_ROWS = 8;
export const UNIT_KV_HEAD = 12;
export const UNIT_FIRST_SPLIT = 16;
export const UNIT_END_SPLIT = 20;
/** Whether the sink page and the own page belong to the unit. */
export const UNIT_F16 = 24;
/** Which of a row's partial results the unit writes. */
export const UNIT_PART = 28;
export const UNIT_BYTES = 32;

/** Query vectors (rows x query heads of a KV head) that a unit holds at most. */
export const MAX_UNIT_QUERIES = 64;
