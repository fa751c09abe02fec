// What kernels know of a step: words that step-buffer.ts writes.
//
// const ROWS, OUTPUT_ROWS, ROW_LIST, UNITS, BLOCKS, SEALS: u32, where each list starts; const SLOT: u32, of the format;
// const STEP_BINDING: u32

@group(0) @binding(STEP_BINDING) var<storage, read> step: array<u32>;

// What a step has of a format, from word FORMATS + SLOT * FORMAT_WORDS on: where its part of each list starts.
const FORMATS = 4u;
const FORMAT_WORDS = 5u;
const FORMAT_ROWS = 0u;
// Units over sink pages and open pages, then those over sealed ones.
const FORMAT_UNITS = 1u;
const FORMAT_SEALED_UNITS = 2u;
const FORMAT_END_OF_UNITS = 3u;
const FORMAT_SEALS = 4u;

fn first_of(list: u32) -> u32 {
  return step[FORMATS + SLOT * FORMAT_WORDS + list];
}

// A row.
const ROW_WORDS = 8u;
const ROW_TOKEN = 0u;
// Where its page starts in the arena, in words.
const ROW_PAGE = 1u;
const ROW_PAGE_TOKENS = 2u;
const ROW_INDEX_IN_PAGE = 3u;
// Its parts of attention, which are merged in order.
const ROW_FIRST_PART = 4u;
const ROW_NUM_PARTS = 5u;

// A unit of attention: blocks that a row attends to.
const UNIT_WORDS = 4u;
const UNIT_ROW = 0u;
const UNIT_FIRST_BLOCK = 1u;
const UNIT_NUM_BLOCKS = 2u;
const UNIT_PART = 3u;

// A block: up to 64 tokens of a page.
const BLOCK_WORDS = 2u;
// Where the page starts in the arena, in words.
const BLOCK_PAGE = 0u;
// How many tokens; 256 times the first one's index in the page; 65,536 times the tokens of the page.
const BLOCK_TOKENS = 1u;
