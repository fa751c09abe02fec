import * as z from 'zod';
import { wholeNumber } from '../engine/whole-number.ts';
import { CONVERSATION_TRACE_DEFAULTS } from '../bench/conversation-trace.ts';
import { samplingOptionShape } from '../engine/options.ts';
import { BENCH_FLAGS } from './bench-flags.ts';
import { MODEL_FLAGS, type Flag } from './flags.ts';

/** What is measured where flags do not tell. */
export const RESIDENCY_DEFAULTS = {
  kv: ['f16', 'q8', 'q4'],
  kvMemory: 64_000_000,
  seed: 1,
  conversations: CONVERSATION_TRACE_DEFAULTS.numConversations,
} as const;

const MAX_CONVERSATIONS = 1_000_000;
const { model, calibration, kv, json } = BENCH_FLAGS;

/** Of `bench residency`. */
export const RESIDENCY_FLAGS = {
  model,
  calibration,
  kv,
  kvMemory: { ...MODEL_FLAGS.kvMemory, description: 'size of the KV cache, as in 64MB (default: 64MB)' },
  trace: {
    usage: '--trace <file>',
    kind: 'text',
    schema: z.string().min(1, 'must be the path of a file'),
    description: 'requests in the format of Mooncake, a JSON object a line (default: chats made from the seed)',
  },
  seed: {
    usage: '--seed <number>',
    kind: 'number',
    schema: samplingOptionShape.seed,
    description: 'same seed, same chats (default: 1)',
  },
  conversations: {
    usage: '--conversations <number>',
    kind: 'number',
    schema: wholeNumber(1, MAX_CONVERSATIONS),
    description: `how many chats are made (default: ${CONVERSATION_TRACE_DEFAULTS.numConversations})`,
  },
  json,
} satisfies Record<string, Flag>;

export const RESIDENCY_EXAMPLES = `
Chats are those of tenants with a system prompt each, several turns long and many at a time. Their requests are served one
after the other by the engine's own pages and prefix tree, with nothing in them: "hits" are the prompt tokens that need not
be computed. Requests longer than the model's context are left out.

Examples:
  kvant bench residency
  kvant bench residency --kv-memory 256MB --kv f16,q8,q4,q2 --seed 7
  kvant bench residency --trace conversation_trace.jsonl --kv-memory 1GB`;
