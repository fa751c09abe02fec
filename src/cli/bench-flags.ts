import * as z from 'zod';
import { kvFormatName, loadOptionShape } from '../engine/options.ts';
import { wholeNumber, wholeNumberFrom } from '../engine/whole-number.ts';
import { GENERATE_FLAGS, MODEL_FLAGS, type Flag, type FlagGroups } from './flags.ts';

/** What `bench` can measure. */
export const BENCHMARKS = ['decode', 'prefill', 'attention', 'matmul', 'load'] as const;
export type Benchmark = (typeof BENCHMARKS)[number];

/** Engines that it can measure beside ours. */
export const PEER_NAMES = ['node-llama-cpp'] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** Types that a peer's cache can have, as it spells them. */
const PEER_KV_TYPES = ['F32', 'F16', 'BF16', 'Q8_0', 'Q5_1', 'Q5_0', 'Q4_1', 'Q4_0', 'IQ4_NL'] as const;

const MAX_RUNS = 100;
/** Rows of a step that measures attention. */
const MAX_BATCH = 64;

/** What is measured where flags do not tell. */
export const BENCH_DEFAULTS = { kv: ['f16', 'q8', 'q4'], ctx: [128, 1024, 4096], newTokens: 32, runs: 2 } as const;

/** A list of values between commas, each checked by `item`. */
export function listOf<T>(item: z.ZodType<T>, fromText: (text: string) => unknown = (text) => text): z.ZodType<T[]> {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => fromText(part.trim())))
    .pipe(z.array(item).min(1));
}

const { model, calibration, threads, backend } = MODEL_FLAGS;

/** Of `bench`. */
export const BENCH_FLAGS = {
  model,
  calibration,
  threads,
  backend,
  kv: {
    usage: '--kv <formats>',
    kind: 'text',
    schema: listOf(kvFormatName),
    description: 'formats of the KV cache, between commas (default: f16,q8,q4)',
    environmentVariable: 'KVANT_KV',
  },
  ctx: {
    usage: '--ctx <tokens>',
    kind: 'text',
    schema: listOf(loadOptionShape.ctx, Number),
    description: 'tokens of the prompt, between commas (default: 128,1024,4096)',
  },
  newTokens: {
    usage: '--new-tokens <number>',
    kind: 'number',
    schema: wholeNumberFrom(2),
    description: 'tokens generated after each prompt (default: 32)',
  },
  runs: {
    usage: '--runs <number>',
    kind: 'number',
    schema: wholeNumber(1, MAX_RUNS),
    description: 'times that each is run; the best one counts (default: 2)',
  },
  batch: {
    usage: '--batch <number>',
    kind: 'number',
    schema: wholeNumber(1, MAX_BATCH),
    description: 'attention and matmuls of so many sequences that decode together, too, each with pages of its own',
  },
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object instead of tables' },
  against: {
    usage: '--against <engine>',
    kind: 'text',
    schema: z.enum(PEER_NAMES, `must be ${PEER_NAMES.join(', ')}`),
    description: `measure another engine in turn with ours, on a GPU where ours is: ${PEER_NAMES.join(', ')}`,
  },
  peerKv: {
    usage: '--peer-kv <types>',
    kind: 'text',
    schema: listOf(z.enum(PEER_KV_TYPES, `must be one of ${PEER_KV_TYPES.join(', ')}`)),
    description: 'types of its KV cache, between commas (default: F16,Q8_0,Q4_0)',
  },
  peerThreads: {
    usage: '--peer-threads <numbers>',
    kind: 'text',
    schema: listOf(loadOptionShape.threads, Number),
    description: 'numbers of its threads, between commas; the fastest counts (default: 1 and all cores)',
  },
} satisfies Record<string, Flag>;

const { against, peerKv, peerThreads, ...OWN_FLAGS } = BENCH_FLAGS;

export const BENCH_FLAG_GROUPS: FlagGroups = {
  'Options:': OWN_FLAGS,
  'Comparison:': { against, peerKv, peerThreads },
};
