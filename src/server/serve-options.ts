import * as z from 'zod';
import { KvantError } from '../errors.ts';
import { loadOptionShape } from '../engine/options.ts';
import { wholeNumber } from '../engine/whole-number.ts';

/** The one schema of what a server is started with: flags, environment and configuration file are checked against it. */

const MIN_KEY_CHARS = 8;
const keyRule = `must be at least ${MIN_KEY_CHARS} printable characters without spaces or commas`;
const apiKey = z
  .string(keyRule)
  .regex(/^[!-+\--~]+$/, keyRule)
  .min(MIN_KEY_CHARS, keyRule);
const originRule = 'must be an origin such as https://example.org, or *';
const origin = z.string(originRule).refine((text) => text === '*' || isOrigin(text), originRule);
const filePath = z.string('must be the path of a file').min(1, 'must be the path of a file');
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const;
const temperatureRule = 'must be a number from 0 to 2';
const nameRule = 'must be letters, digits, dots, dashes and underscores, at most 100';

export const serveOptionShape = {
  model: loadOptionShape.model,
  kv: loadOptionShape.kv,
  calibration: loadOptionShape.calibration,
  ctx: loadOptionShape.ctx,
  memory: loadOptionShape.memory,
  kvMemory: loadOptionShape.kvMemory,
  maxSequences: loadOptionShape.maxSequences,
  threads: loadOptionShape.threads,
  backend: loadOptionShape.backend,
  draftModel: loadOptionShape.draftModel,
  checkKv: loadOptionShape.checkKv,
  swap: loadOptionShape.swap,
  swapSize: loadOptionShape.swapSize,
  swapFolder: loadOptionShape.swapFolder,
  tenantQuota: loadOptionShape.tenantQuota,
  auditEvery: loadOptionShape.auditEvery,
  host: z.string('must be an address or a name').min(1, 'must be an address or a name'),
  port: wholeNumber(0, 65_535),
  apiKey: z.array(apiKey, 'must be a list of keys'),
  metricsKey: apiKey,
  cors: z.array(origin, 'must be a list of origins'),
  name: z.string(nameRule).regex(/^[\w.-]{1,100}$/, nameRule),
  maxQueue: wholeNumber(0, 100_000),
  maxQueuePerKey: wholeNumber(0, 100_000),
  maxTokens: wholeNumber(1, 10_000_000),
  temperature: z.number(temperatureRule).min(0, temperatureRule).max(2, temperatureRule),
  publicPrefix: filePath,
  drainSeconds: wholeNumber(0, 3600),
  logLevel: z.enum(logLevels, `must be one of ${logLevels.join(', ')}`),
};

const fileSchema = z.strictObject(serveOptionShape).partial();

/** What was given; what is absent has a default. */
export type ServeOptions = z.infer<typeof fileSchema>;

export const SERVE_DEFAULTS = {
  host: '127.0.0.1',
  port: 8080,
  maxSequences: 16,
  maxQueue: 64,
  maxTokens: 4096,
  temperature: 1,
  drainSeconds: 30,
} as const;

/** Conversations that a tenant may have, and how long one is kept that nobody uses. */
export const CONVERSATION_LIMITS = { mostPerTenant: 32, idleMs: 3_600_000 } as const;

/**
 * Reads a configuration file: a JSON object whose keys are the names of flags in camel case.
 *
 * @param source for errors, such as `the file serve.json`
 * @throws KvantError INVALID_OPTION naming the source, the key and what it may be
 */
export function parseServeFile(text: string, source: string): ServeOptions {
  const result = fileSchema.safeParse(parseJson(text, source));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(serveOptionShape).join(', ');
    throw new KvantError('INVALID_OPTION', `${source} has an unknown key "${issue.keys[0]}"; known keys: ${known}`);
  }
  const [key] = issue.path;
  if (key === undefined) throw new KvantError('INVALID_OPTION', `${source} must hold a JSON object`);
  throw new KvantError('INVALID_OPTION', `${source}: "${issue.path.join('.')}" ${issue.message}`);
}

function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new KvantError('INVALID_OPTION', `${source} is not valid JSON`);
  }
}

/**
 * Refuses to open a server to others that lets everybody in.
 *
 * @throws KvantError INVALID_OPTION
 */
export function checkServeSafety({ host = SERVE_DEFAULTS.host, apiKey: keys = [] }: ServeOptions): void {
  if (keys.length > 0 || isLoopback(host)) return;
  const message =
    `refused to listen on ${host} without an API key, where others could reach the server: ` +
    'give one (--api-key KEY or KVANT_API_KEY), or listen on 127.0.0.1';
  throw new KvantError('INVALID_OPTION', message);
}

/** Whether only this machine reaches an address. A name other than localhost may mean anything. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}
