import * as z from 'zod';
import { MAX_EXACT_TOKENS, MIN_EXACT_TOKENS } from '../eval/exactness/prompt-length.ts';
import { NEEDLE_VARIANTS } from '../eval/needle-task.ts';
import { chatSendOptionShape, kvFormatName, loadOptionShape } from '../engine/options.ts';
import { wholeNumber } from '../engine/whole-number.ts';
import { listOf } from './bench-flags.ts';
import { GENERATE_FLAGS, MODEL_FLAGS, type Flag } from './flags.ts';

/** What is measured where flags do not tell. */
export const EVAL_DEFAULTS = {
  kv: ['f16', 'q8', 'q4'],
  ctx: 2048,
  windows: 4,
  activations: 'f32',
  lengths: 4,
  depths: 5,
  trials: 2,
  seed: 1,
  exactKv: ['f16', 'q8', 'q4', 'k3v2'],
  exactTokens: 190,
} as const;

/** Below this, nothing that is measured has much before it. */
const MIN_CTX = 16;

const filePath = z.string().min(1, 'must be the path of a file');
const { model, calibration, threads, backend } = MODEL_FLAGS;

const COMMON_FLAGS = {
  model,
  calibration,
  threads,
  backend,
  kv: {
    usage: '--kv <formats>',
    kind: 'text',
    schema: listOf(loadOptionShape.kv),
    description: `formats of the KV cache, between commas (default: ${EVAL_DEFAULTS.kv.join(',')})`,
    environmentVariable: 'KVANT_KV',
  },
  activations: {
    usage: '--activations <kind>',
    kind: 'text',
    schema: z.enum(['f32', 'int8'], 'must be f32 or int8'),
    description: "f32: floating-point matmuls, so that the cache's error is alone (the default); int8: as it ships",
  },
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object instead of tables' },
} satisfies Record<string, Flag>;

/** Of `eval ppl`. */
export const PPL_FLAGS = {
  text: {
    usage: '--text <file>',
    kind: 'text',
    schema: filePath,
    description: 'UTF-8 text to measure on, from its start',
  },
  tokens: {
    usage: '--tokens <file>',
    kind: 'text',
    schema: filePath,
    description: 'token ids instead of a text: a JSON array, or 16-bit little-endian numbers in a .u16 file',
  },
  ...COMMON_FLAGS,
  ctx: {
    usage: '--ctx <tokens>',
    kind: 'number',
    schema: loadOptionShape.ctx.min(MIN_CTX, `must be at least ${MIN_CTX}`),
    description: `tokens of a window (default: ${EVAL_DEFAULTS.ctx})`,
  },
  windows: {
    usage: '--windows <number>',
    kind: 'number',
    schema: wholeNumber(1, 1_000_000),
    description: `windows from the start of the text (default: ${EVAL_DEFAULTS.windows}, or as many as it has)`,
  },
} satisfies Record<string, Flag>;

/** Of `eval kld`. */
export const KLD_FLAGS = {
  ...PPL_FLAGS,
  svg: {
    usage: '--svg <file>',
    kind: 'text',
    schema: filePath,
    description: 'draw KL divergence against bits an element',
  },
} satisfies Record<string, Flag>;

/** Of `eval needle`. */
export const NEEDLE_FLAGS = {
  text: { ...PPL_FLAGS.text, description: 'UTF-8 text to hide needles in (default: a short one of its own)' },
  ...COMMON_FLAGS,
  ctx: { ...PPL_FLAGS.ctx, description: `tokens of the longest context (default: ${EVAL_DEFAULTS.ctx})` },
  variants: {
    usage: '--variants <names>',
    kind: 'text',
    schema: listOf(z.enum(NEEDLE_VARIANTS, `must be one of ${NEEDLE_VARIANTS.join(', ')}`)),
    description: `kinds of needles, between commas (default: ${NEEDLE_VARIANTS.join(',')})`,
  },
  lengths: {
    usage: '--lengths <number>',
    kind: 'number',
    schema: wholeNumber(1, 100),
    description: `lengths of context, in equal steps up to --ctx (default: ${EVAL_DEFAULTS.lengths})`,
  },
  depths: {
    usage: '--depths <number>',
    kind: 'number',
    schema: wholeNumber(1, 100),
    description: `depths from the start (0%) to the end (100%) of the context (default: ${EVAL_DEFAULTS.depths})`,
  },
  trials: {
    usage: '--trials <number>',
    kind: 'number',
    schema: wholeNumber(1, 1000),
    description: `times that each is asked, with other needles elsewhere in the text (default: ${EVAL_DEFAULTS.trials})`,
  },
  seed: {
    usage: '--seed <number>',
    kind: 'number',
    schema: chatSendOptionShape.seed,
    description: `same seed, same needles (default: ${EVAL_DEFAULTS.seed})`,
  },
  svg: { ...KLD_FLAGS.svg, description: 'draw a heat map, length against depth' },
} satisfies Record<string, Flag>;

/** Of `eval exact`. */
export const EXACT_FLAGS = {
  ...{ model, calibration, threads, backend, json: COMMON_FLAGS.json },
  kv: {
    ...COMMON_FLAGS.kv,
    schema: listOf(kvFormatName),
    description: `formats of the KV cache, between commas: a column each (default: ${EVAL_DEFAULTS.exactKv.join(',')})`,
  },
  tokens: {
    usage: '--tokens <number>',
    kind: 'number',
    schema: wholeNumber(MIN_EXACT_TOKENS, MAX_EXACT_TOKENS),
    description: `tokens of the prompt (default: ${EVAL_DEFAULTS.exactTokens})`,
  },
} satisfies Record<string, Flag>;

export const EVAL_EXAMPLES = `
Examples:
  kvant eval kld --text book.txt --kv q8,q4,k8v4 --svg loss.svg
  kvant eval ppl --text book.txt --ctx 4096 --windows 2
  kvant eval needle --kv f16,q4 --ctx 4096
  kvant eval exact

kvant eval help kld, ppl, needle or exact tells the options of each.`;

export const KLD_EXAMPLES = `
KL divergence of each format's cache to the f16 cache of the same model, on the running cache: every token attends to
sealed pages, and errors compound. Measured from the middle of each window on. One line for each format: mean, median
and 99.9th percentile of the divergence in nats; share of positions with the same likeliest token; perplexity by that of
f16; root mean square of the change of the next token's probability; bits an element, metadata counted.

Examples:
  kvant eval kld --text book.txt
  kvant eval kld --text book.txt --ctx 8192 --windows 1 --kv f16,q8,q4,k8v4
  kvant eval kld --tokens book.u16 --activations int8 --json > kld.json
  kvant eval kld --text book.txt --svg loss.svg      (needs npm i @observablehq/plot linkedom)`;

export const PPL_EXAMPLES = `
Perplexity of the text with each format of the cache, and by that of f16; measured from the middle of each window on.

Examples:
  kvant eval ppl --text book.txt
  kvant eval ppl --text book.txt --ctx 4096 --windows 8 --kv q8,q4`;

export const NEEDLE_EXAMPLES = `
Facts hidden in a text at several depths, then asked for. single: one fact. multi-key: as many facts with similar keys
as there are depths, each asked for. multi-value: one key with a value at each depth, all asked for at once. Each cell has
the right answers of the trials, and the mean log-probability of the right answer: of f16 itself, of others the change from f16.

Examples:
  kvant eval needle
  kvant eval needle --text book.txt --ctx 8192 --kv f16,q4 --trials 5
  kvant eval needle --variants multi-key --depths 9 --svg needle.svg      (needs npm i @observablehq/plot linkedom)`;

export const EXACT_EXAMPLES = `
The matrix of exactness. A prompt gives the same logits and the same tokens to the last bit, greedy and sampled, whatever happens around it: in
batches, in chunks, on several threads, with cached prefixes, preempted and swapped, forked, rolled back, beside other formats. Each row is
such a condition, each column a format, and each cell compares raw bits with the prompt run alone: === with the number of compared rows of logits and of
generated tokens, or the first position that differs. The exit code is 1 if any cell is not ===.

Examples:
  kvant eval exact
  kvant eval exact --kv f16,q4 --tokens 500 --threads 4
  kvant eval exact --model model.gguf --json > exact.json`;
