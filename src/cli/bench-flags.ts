import * as z from 'zod';
import { loadOptionShape } from '../engine/options.ts';
import { GENERATE_FLAGS, MODEL_FLAGS, type Flag, type FlagGroups } from './flags.ts';

const MAX_RUNS = 100;

/** A list of values between commas, each checked by `item`. */
function listOf<T>(item: z.ZodType<T>, fromText: (text: string) => unknown = (text) => text): z.ZodType<T[]> {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => fromText(part.trim())))
    .pipe(z.array(item).min(1));
}

const { model, threads, backend } = MODEL_FLAGS;

/** Of `bench`. */
export const BENCH_FLAGS = {
  model,
  threads,
  backend,
  kv: {
    usage: '--kv <formats>',
    kind: 'text',
    schema: listOf(loadOptionShape.kv),
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
    schema: z.int('must be a whole number of at least 2').min(2, 'must be a whole number of at least 2'),
    description: 'tokens generated after each prompt (default: 32)',
  },
  runs: {
    usage: '--runs <number>',
    kind: 'number',
    schema: z
      .int(`must be a whole number from 1 to ${MAX_RUNS}`)
      .min(1, `must be a whole number from 1 to ${MAX_RUNS}`)
      .max(MAX_RUNS, `must be a whole number from 1 to ${MAX_RUNS}`),
    description: 'times that each is run; the best one counts (default: 2)',
  },
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object instead of the table' },
} satisfies Record<string, Flag>;

export const BENCH_FLAG_GROUPS: FlagGroups = { 'Options:': BENCH_FLAGS };
