import { MAX_SEQUENCES } from '../engine/options.ts';
import { SERVE_DEFAULTS, serveOptionShape } from '../server/serve-options.ts';
import { MODEL_FLAGS, SAMPLING_FLAGS, type Flag, type FlagGroups } from './flags.ts';

/** Of `serve`: flags and environment of what server/serve-options.ts allows. */

const { model, kv, calibration, ctx, memory, threads, backend, draftModel, checkKv } = MODEL_FLAGS;

const SERVED_MODEL_FLAGS = {
  model,
  kv,
  calibration,
  ctx,
  memory,
  kvMemory: {
    ...MODEL_FLAGS.kvMemory,
    description: 'size of the KV cache, which all requests share, as in 64MB (default: room for four whole contexts)',
  },
  maxSequences: {
    usage: '--max-sequences <number>',
    kind: 'number',
    schema: serveOptionShape.maxSequences,
    description: `answers at the same time, at most ${MAX_SEQUENCES} (default: ${SERVE_DEFAULTS.maxSequences})`,
    environmentVariable: 'KVANT_MAX_SEQUENCES',
  },
  swap: {
    usage: '--swap <place>',
    kind: 'text',
    schema: serveOptionShape.swap,
    description: 'where pages go that the KV cache has no room for: none, memory or disk (default: none)',
    environmentVariable: 'KVANT_SWAP',
  },
  swapSize: {
    usage: '--swap-size <size>',
    kind: 'text',
    schema: serveOptionShape.swapSize,
    description: 'most that they may take there (default: 1GB)',
    environmentVariable: 'KVANT_SWAP_SIZE',
  },
  swapFolder: {
    usage: '--swap-folder <folder>',
    kind: 'text',
    schema: serveOptionShape.swapFolder,
    description: "where on the disk (default: the system's folder for temporary files)",
    environmentVariable: 'KVANT_SWAP_FOLDER',
  },
  threads,
  backend,
  draftModel,
  checkKv,
} satisfies Record<string, Flag>;

const ADDRESS_FLAGS = {
  host: {
    usage: '--host <address>',
    kind: 'text',
    schema: serveOptionShape.host,
    description: `address to listen on; any but this machine's own needs an API key (default: ${SERVE_DEFAULTS.host})`,
    environmentVariable: 'KVANT_HOST',
  },
  port: {
    usage: '--port <number>',
    kind: 'number',
    schema: serveOptionShape.port,
    description: `0 takes a free one (default: ${SERVE_DEFAULTS.port})`,
    environmentVariable: 'KVANT_PORT',
  },
  apiKey: {
    usage: '--api-key <key>',
    kind: 'list',
    schema: serveOptionShape.apiKey,
    description:
      'key that clients must send; may be repeated, and each is a tenant of its own, whose cache nobody else sees (several in the environment: KVANT_API_KEYS, between commas)',
    environmentVariable: 'KVANT_API_KEY',
    isSecret: true,
  },
  metricsKey: {
    usage: '--metrics-key <key>',
    kind: 'text',
    schema: serveOptionShape.metricsKey,
    description: 'key that opens /metrics and /health/ready, and nothing else (default: an only API key opens them)',
    environmentVariable: 'KVANT_METRICS_KEY',
    isSecret: true,
  },
  cors: {
    usage: '--cors <origin>',
    kind: 'list',
    schema: serveOptionShape.cors,
    description: 'origin whose pages may call from a browser, or *; may be repeated (default: none)',
    environmentVariable: 'KVANT_CORS',
  },
  name: {
    usage: '--name <name>',
    kind: 'text',
    schema: serveOptionShape.name,
    description: "the model's name for clients (default: from the model's file)",
    environmentVariable: 'KVANT_NAME',
  },
} satisfies Record<string, Flag>;

const REQUEST_FLAGS = {
  maxTokens: {
    ...SAMPLING_FLAGS.maxTokens,
    schema: serveOptionShape.maxTokens,
    description: `most tokens of an answer, and what one has that asks for no number (default: ${SERVE_DEFAULTS.maxTokens})`,
  },
  temperature: {
    ...SAMPLING_FLAGS.temperature,
    schema: serveOptionShape.temperature,
    description: `of requests that name none (default: ${SERVE_DEFAULTS.temperature}, as OpenAI's)`,
  },
  maxQueue: {
    usage: '--max-queue <number>',
    kind: 'number',
    schema: serveOptionShape.maxQueue,
    description: `answers that may wait for their turn; more are refused with 429 (default: ${SERVE_DEFAULTS.maxQueue})`,
    environmentVariable: 'KVANT_MAX_QUEUE',
  },
  maxQueuePerKey: {
    usage: '--max-queue-per-key <number>',
    kind: 'number',
    schema: serveOptionShape.maxQueuePerKey,
    description: 'of one API key (default: half of the queue where there are several keys)',
    environmentVariable: 'KVANT_MAX_QUEUE_PER_KEY',
  },
  tenantQuota: {
    usage: '--tenant-quota <size>',
    kind: 'text',
    schema: serveOptionShape.tenantQuota,
    description: 'most of the KV cache that one API key may hold (default: no limit)',
    environmentVariable: 'KVANT_TENANT_QUOTA',
  },
  publicPrefix: {
    usage: '--public-prefix <file>',
    kind: 'text',
    schema: serveOptionShape.publicPrefix,
    description: "text of a system message whose cache all API keys share, such as an operator's instructions",
    environmentVariable: 'KVANT_PUBLIC_PREFIX',
  },
} satisfies Record<string, Flag>;

const OPERATION_FLAGS = {
  config: {
    usage: '--config <file>',
    kind: 'text',
    schema: serveOptionShape.publicPrefix,
    description: 'JSON object of these options, named like the flags in camel case; flags and environment go before it',
    environmentVariable: 'KVANT_CONFIG',
  },
  drainSeconds: {
    usage: '--drain-seconds <number>',
    kind: 'number',
    schema: serveOptionShape.drainSeconds,
    description: `how long answers may still take when the server is told to end (default: ${SERVE_DEFAULTS.drainSeconds})`,
    environmentVariable: 'KVANT_DRAIN_SECONDS',
  },
  auditEvery: {
    usage: '--audit-every <number>',
    kind: 'number',
    schema: serveOptionShape.auditEvery,
    description:
      'runs one request in so many again with an f16 cache, in idle time, and tells what the format costs (default: none)',
    environmentVariable: 'KVANT_AUDIT_EVERY',
  },
  logLevel: {
    usage: '--log-level <level>',
    kind: 'text',
    schema: serveOptionShape.logLevel,
    description: 'fatal, error, warn, info, debug or silent (default: info, on a terminal warn)',
    environmentVariable: 'KVANT_LOG_LEVEL',
  },
} satisfies Record<string, Flag>;

export const SERVE_FLAGS = { ...SERVED_MODEL_FLAGS, ...ADDRESS_FLAGS, ...REQUEST_FLAGS, ...OPERATION_FLAGS };

export const SERVE_FLAG_GROUPS: FlagGroups = {
  'Model:': SERVED_MODEL_FLAGS,
  'Address and keys:': ADDRESS_FLAGS,
  'Requests:': REQUEST_FLAGS,
  'Operation:': OPERATION_FLAGS,
};

export const SERVE_EXAMPLES = `
Examples:
  kvant serve
  kvant serve --model model.gguf --kv q8 --port 9000
  KVANT_API_KEYS=first-secret,second-secret kvant serve --host 0.0.0.0
  kvant serve --config serve.json --log-level warn

With a server on port 8080:
  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}'

docs/server.md tells of routes, errors and safety.`;
