import * as z from 'zod';
import { loadOptionShape } from '../engine/options.ts';
import { wholeNumberFrom } from '../engine/whole-number.ts';
import { BENCH_FLAGS, listOf } from './bench-flags.ts';
import type { Flag, FlagGroups } from './flags.ts';

/** What is measured where flags do not tell. */
export const USERS_DEFAULTS = {
  kv: ['q4'],
  users: [1, 4, 16],
  shared: 0,
  in: 64,
  out: 64,
  runs: 2,
  /** What was fastest with the embedded model on two cores, and what may be elsewhere. */
  peerKv: ['F16', 'Q8_0'],
  peerBatch: [512, 2048],
  peerFlash: ['on'],
} as const;

/** Types of the peer's cache that it can read without flash attention. */
export const UNQUANTIZED_PEER_KV: readonly string[] = ['F32', 'F16', 'BF16'];

const ownTokens = wholeNumberFrom(1);
const sharedTokens = wholeNumberFrom(0);
const { model, calibration, threads, backend, kv, runs, json, against, peerKv, peerThreads } = BENCH_FLAGS;

/** Of `bench users`. */
export const USERS_FLAGS = {
  model,
  calibration,
  threads,
  backend,
  kv: { ...kv, description: 'formats of the KV cache, between commas (default: q4)' },
  users: {
    usage: '--users <numbers>',
    kind: 'text',
    schema: listOf(loadOptionShape.maxSequences, Number),
    description: 'numbers of users that ask at once, between commas (default: 1,4,16)',
  },
  shared: {
    usage: '--shared <tokens>',
    kind: 'number',
    schema: sharedTokens,
    description: 'tokens with which all prompts begin; computed anew in every run (default: 0)',
  },
  in: {
    usage: '--in <tokens>',
    kind: 'number',
    schema: ownTokens,
    description: "tokens of each user's own prompt, after the shared ones (default: 64)",
  },
  out: {
    usage: '--out <tokens>',
    kind: 'number',
    schema: ownTokens,
    description: 'tokens for each user (default: 64)',
  },
  runs,
  json,
  against,
  peerKv: { ...peerKv, description: 'types of its KV cache, between commas; the fastest counts (default: F16,Q8_0)' },
  peerThreads: {
    ...peerThreads,
    description: 'numbers of its threads, between commas; the fastest counts (default: all cores)',
  },
  peerBatch: {
    usage: '--peer-batch <tokens>',
    kind: 'text',
    schema: listOf(ownTokens, Number),
    description: 'most tokens that it computes at a time, between commas; the fastest counts (default: 512,2048)',
  },
  peerFlash: {
    usage: '--peer-flash <on|off>',
    kind: 'text',
    schema: listOf(z.enum(['on', 'off'], 'must be on or off')),
    description: 'its flash attention, on or off or both between commas; the fastest counts (default: on)',
  },
} satisfies Record<string, Flag>;

const COMPARISON = {
  against: USERS_FLAGS.against,
  peerKv: USERS_FLAGS.peerKv,
  peerThreads: USERS_FLAGS.peerThreads,
  peerBatch: USERS_FLAGS.peerBatch,
  peerFlash: USERS_FLAGS.peerFlash,
};

export const USERS_FLAG_GROUPS: FlagGroups = {
  'Options:': Object.fromEntries(Object.entries(USERS_FLAGS).filter(([name]) => !Object.hasOwn(COMPARISON, name))),
  'Comparison:': COMPARISON,
};

export const USERS_EXAMPLES = `
Prompts are random tokens, other ones in every run, and answers go on where the model would end them.

Examples:
  kvant bench users
  kvant bench users --users 1,16 --shared 2048 --kv q4,f16
  kvant bench users --against node-llama-cpp --peer-kv F16 --json`;
