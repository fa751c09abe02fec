import * as z from 'zod';
import { loadOptionShape } from '../engine/options.ts';
import { MODEL_FLAGS, SAMPLING_FLAGS, GENERATE_FLAGS, type Flag } from './flags.ts';

export const SERVE_LOAD_DEFAULTS = { users: 16, seconds: 180, leaveShare: 0.2, maxTokens: 64, ctx: 1024 } as const;

const { model, kv, calibration, threads, backend } = MODEL_FLAGS;
const SECONDS_RULE = 'must be a number of seconds above 0, at most 3600';
const SHARE_RULE = 'must be a number from 0 to 1';

/** Of `bench serve`. */
export const SERVE_LOAD_FLAGS = {
  users: {
    usage: '--users <number>',
    kind: 'number',
    schema: loadOptionShape.maxSequences,
    description: `clients that ask at once, each again when its answer has ended (default: ${SERVE_LOAD_DEFAULTS.users})`,
  },
  seconds: {
    usage: '--seconds <number>',
    kind: 'number',
    schema: z.number(SECONDS_RULE).gt(0, SECONDS_RULE).max(3600, SECONDS_RULE),
    description: `how long they ask (default: ${SERVE_LOAD_DEFAULTS.seconds})`,
  },
  leaveShare: {
    usage: '--leave-share <share>',
    kind: 'number',
    schema: z.number(SHARE_RULE).min(0, SHARE_RULE).max(1, SHARE_RULE),
    description: `share of answers that their clients leave midway (default: ${SERVE_LOAD_DEFAULTS.leaveShare})`,
  },
  maxTokens: {
    ...SAMPLING_FLAGS.maxTokens,
    description: `most tokens of an answer (default: ${SERVE_LOAD_DEFAULTS.maxTokens})`,
  },
  url: {
    usage: '--url <url>',
    kind: 'text',
    schema: z.url({ protocol: /^https?$/, error: 'must be a URL such as http://127.0.0.1:8080' }),
    description: 'server that runs already (default: one is started in this process, with the flags below)',
  },
  apiKey: {
    usage: '--api-key <key>',
    kind: 'text',
    schema: z.string().min(1, 'must not be empty'),
    description: 'key that the server at --url asks for',
    environmentVariable: 'KVANT_API_KEY',
  },
  ...{ model, kv, calibration, threads, backend },
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object instead of lines' },
} satisfies Record<string, Flag>;

export const SERVE_LOAD_EXAMPLES = `
Clients stream answers of "kvant serve". Errors, times and memory are told, and what is left in the cache at the end.

Examples:
  kvant bench serve
  kvant bench serve --users 4 --seconds 30 --leave-share 0.5 --json
  kvant bench serve --url http://127.0.0.1:8080`;
