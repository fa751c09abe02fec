import { wholeNumberFrom } from '../engine/whole-number.ts';
import { loadOptionShape } from '../engine/options.ts';
import { BENCH_FLAGS, listOf } from './bench-flags.ts';
import type { Flag } from './flags.ts';

/** What is measured where flags do not tell. */
export const REUSE_DEFAULTS = {
  kv: ['q4'],
  document: 6000,
  lengths: [512, 2048, 6000],
  newTokens: 200,
  runs: 3,
} as const;

const { model, calibration, threads, backend, json, newTokens, runs } = BENCH_FLAGS;
const COMMON = {
  model,
  calibration,
  threads,
  backend,
  kv: { ...BENCH_FLAGS.kv, description: 'formats of the KV cache, between commas (default: q4)' },
  runs: { ...runs, description: 'times that each is run; the best one counts (default: 3)' },
  json,
} satisfies Record<string, Flag>;

/** Of `bench first-token`. */
export const FIRST_TOKEN_FLAGS = {
  ...COMMON,
  document: {
    usage: '--document <tokens>',
    kind: 'number',
    // Less is no full page in some format.
    schema: wholeNumberFrom(128),
    description: 'tokens of the document that the questions are about (default: 6000)',
  },
} satisfies Record<string, Flag>;

/** Of `bench preemption`. */
export const PREEMPTION_FLAGS = {
  ...COMMON,
  lengths: {
    usage: '--lengths <tokens>',
    kind: 'text',
    schema: listOf(loadOptionShape.ctx, Number),
    description: 'tokens of the sequence, between commas (default: 512,2048,6000)',
  },
} satisfies Record<string, Flag>;

/** Of `bench lookup`. */
export const LOOKUP_FLAGS = {
  ...COMMON,
  newTokens: { ...newTokens, description: 'most tokens of an answer (default: 200)' },
} satisfies Record<string, Flag>;

export const FIRST_TOKEN_EXAMPLES = `
Asks a question about a document, and then others: "recompute" computes everything again, "prefix hit" finds the document
in the cache, "file" loads its pages from a session file first.

Examples:
  kvant bench first-token
  kvant bench first-token --kv f16,q4 --document 2000 --json`;

export const PREEMPTION_EXAMPLES = `
A sequence loses all of its pages to another one and comes back: "recompute" computes it again, "memory" and "disk" read
what was swapped there and compute the open page alone.

Examples:
  kvant bench preemption
  kvant bench preemption --kv f16,q4 --lengths 512,4096`;

export const LOOKUP_EXAMPLES = `
Decodes answers greedily with prompt lookup and without: to "copy" a text with one change, and "free" ones. The answers are
compared, and have to be the same.

Examples:
  kvant bench lookup
  kvant bench lookup --model model.gguf --kv q8,q4 --runs 5`;
