import * as z from 'zod';
import { KvantError } from '../errors.ts';
import { needsCalibration } from '../calibration/calibration.ts';
import { KV_FORMAT_HELP, KV_FORMAT_LADDER, parseKvFormat } from '../quant/kv-format.ts';
import { MAX_SEED, MAX_SEQUENCES } from './defaults.ts';
import { MEMORY_SIZE_RULE, parseMemorySize } from './memory-size.ts';
import type {
  LoadFromFolderOptions,
  LoadSessionOptions,
  PromptText,
  SaveSessionOptions,
  SaveToFolderOptions,
} from './session-types.ts';
import type { StatsOptions } from './stats-types.ts';
import type { ChatSendOptions, GenerateOptions, LoadOptions, PlanOptions, SamplingOptions } from './types.ts';

/**
 * The one schema of all options: what each may be, and the words that say so. The CLI checks its flags against it too.
 */

/** For help texts, so that faces need not know the layer below, nor where the defaults lie. */
export { KV_FORMAT_HELP, KV_FORMAT_LADDER };
export {
  DEFAULT_KV_FORMAT,
  DEFAULT_MAX_CTX,
  DEFAULT_MAX_THREADS,
  MAX_SEQUENCES,
  SAMPLING_DEFAULTS,
} from './defaults.ts';

/** A format by name; where formats are compared, `auto` is none. */
export const kvFormatName = z
  .string(`must be ${KV_FORMAT_HELP}`)
  .refine(isKvFormatName, { error: `must be ${KV_FORMAT_HELP}` });

const KV_RULE = `must be ${KV_FORMAT_HELP}, or auto`;

export const loadOptionShape = {
  model: nonEmptyString('must be the path of a GGUF file'),
  kv: z.string(KV_RULE).refine((name) => name === 'auto' || isKvFormatName(name), { error: KV_RULE }),
  calibration: nonEmptyString('must be the path of a calibration file, or none'),
  ctx: integerFrom(1),
  threads: integerFrom(1, 256),
  backend: z.enum(
    ['auto', 'wasm', 'wasm-128', 'wasm-simd', 'webgpu', 'webgpu-software', 'reference'],
    'must be auto, wasm, wasm-128, wasm-simd, webgpu, webgpu-software or reference',
  ),
  maxSequences: integerFrom(1, MAX_SEQUENCES),
  memory: memorySize(),
  kvMemory: memorySize(),
  swap: z.enum(['none', 'memory', 'disk'], 'must be none, memory or disk'),
  swapSize: memorySize(),
  swapFolder: nonEmptyString('must be the path of a folder'),
  schedule: z.enum(['fcfs', 'priority'], 'must be fcfs or priority'),
  maxPrefillTokens: integerFrom(1),
  tenantQuota: memorySize(),
  auditEvery: integerFrom(1),
  checkKv: z.enum(['warn', 'raise'], 'must be warn or raise'),
  draftModel: nonEmptyString('must be the path of a GGUF file'),
  onProgress: functionOf<NonNullable<LoadOptions['onProgress']>>(),
  signal: abortSignal(),
} satisfies Record<keyof LoadOptions, z.ZodType>;

export const samplingOptionShape = {
  temperature: numberWhere('must be a number of at least 0', (value) => value >= 0),
  topK: integerFrom(0),
  topP: numberWhere('must be a number above 0 and at most 1', (value) => value > 0 && value <= 1),
  minP: numberWhere('must be a number of at least 0 and below 1', (value) => value >= 0 && value < 1),
  repetitionPenalty: numberWhere('must be a number above 0', (value) => value > 0),
  logitBias: logitBiases(),
  frequencyPenalty: numberFrom(-2, 2),
  presencePenalty: numberFrom(-2, 2),
  seed: integerFrom(0, MAX_SEED),
} satisfies Record<keyof SamplingOptions, z.ZodType>;

const RESPONSE_FORMAT_RULE = 'must be text, json_object, or json_schema with a schema';
const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({ type: z.literal('json_schema'), schema: z.looseObject({}, 'must be a JSON schema, an object') }),
  ],
  RESPONSE_FORMAT_RULE,
);

export const chatSendOptionShape = {
  ...samplingOptionShape,
  maxTokens: integerFrom(0),
  speculate: z.enum(['off', 'lookup', 'draft'], 'must be off, lookup or draft'),
  stop: z.array(nonEmptyString('must be a text of at least one character'), 'must be a list of texts'),
  responseFormat,
  topLogProbs: integerFrom(0, 20),
  kv: kvFormatName,
  tenant: nonEmptyString('must be a text of at least one character'),
  priority: numberWhere('must be a number', (value) => Number.isFinite(value)),
  reusePrefix: z.boolean('must be true or false'),
  onStart: functionOf<NonNullable<GenerateOptions['onStart']>>(),
  onPrefillProgress: functionOf<NonNullable<GenerateOptions['onPrefillProgress']>>(),
  signal: abortSignal(),
} satisfies Record<keyof ChatSendOptions, z.ZodType>;

const message = z.strictObject({
  role: z.enum(['system', 'user', 'assistant'], 'must be system, user or assistant'),
  content: z.string('must be a text'),
});

export const generateOptionShape = {
  ...chatSendOptionShape,
  prompt: z.string('must be a text'),
  messages: z.array(message, 'must be a list of messages').min(1, 'must have at least one message'),
  tokens: z.array(integerFrom(0), 'must be a list of token ids').min(1, 'must have at least one token'),
  ignoreEnd: z.boolean('must be true or false'),
  logProbsAt: z
    .array(integerFrom(0), 'must be a list of prompt positions')
    .refine(isAscending, 'must be prompt positions in ascending order'),
  onLogProbs: functionOf<NonNullable<GenerateOptions['onLogProbs']>>(),
} satisfies Record<keyof GenerateOptions, z.ZodType>;

const loadOptionsSchema = z.strictObject(loadOptionShape).partial();
const generateOptionsSchema = z.strictObject(generateOptionShape).partial();
const promptShape = {
  prompt: generateOptionShape.prompt,
  messages: generateOptionShape.messages,
  tokens: generateOptionShape.tokens,
};
const prefixSchema = z.strictObject(promptShape).partial();
const placeShape = { kv: kvFormatName, tenant: chatSendOptionShape.tenant };
const saveShape = { ...promptShape, ...placeShape, title: z.string('must be a text') };
const saveSessionSchema = z.strictObject(saveShape).partial();
const saveToFolderSchema = z.strictObject({ ...saveShape, limit: memorySize() }).partial();
const loadSessionSchema = z.strictObject(placeShape).partial();
const loadFromFolderSchema = z.strictObject({ ...promptShape, ...placeShape }).partial();
const pathSchema = z
  .strictObject({
    path: nonEmptyString('must be the path of a file'),
    folder: nonEmptyString('must be the path of a folder'),
  })
  .partial();
const chatSendOptionsSchema = z.strictObject(chatSendOptionShape).partial();
const statsOptionsSchema = z.strictObject({ tenant: chatSendOptionShape.tenant }).partial();
const chatOptionsSchema = z.strictObject({ system: z.string('must be a text') }).partial();

const planOptionsSchema = z
  .strictObject({
    model: loadOptionShape.model,
    calibration: loadOptionShape.calibration,
    kv: z.array(kvFormatName, 'must be a list of formats').min(1, 'must name at least one format'),
    ctx: loadOptionShape.ctx,
    threads: loadOptionShape.threads,
    backend: loadOptionShape.backend,
    maxSequences: loadOptionShape.maxSequences,
    memory: loadOptionShape.memory,
    kvMemory: loadOptionShape.kvMemory,
    draftModel: loadOptionShape.draftModel,
  } satisfies Record<keyof PlanOptions, z.ZodType>)
  .partial();

/** Options of `load` after the check: sizes are bytes. */
export type ParsedLoadOptions = ParsedSizes<LoadOptions>;

type SizeOption = 'memory' | 'kvMemory' | 'swapSize' | 'tenantQuota';
type ParsedSizes<Options> = Omit<Options, SizeOption> & { readonly [Name in SizeOption & keyof Options]?: number };

/**
 * Checks the options of `load`. An option that is `undefined` counts as absent.
 *
 * @throws KvantError INVALID_OPTION naming the option, what it may be and what it was
 */
export function parseLoadOptions(options: unknown): ParsedLoadOptions {
  return parse(loadOptionsSchema, options);
}

/** Checks the options of `plan`. @throws KvantError INVALID_OPTION */
export function parsePlanOptions(options: unknown): ParsedSizes<PlanOptions> {
  return parse(planOptionsSchema, options);
}

/**
 * Checks the options of `generate`.
 *
 * @throws KvantError INVALID_OPTION naming the option, what it may be and what it was
 */
export function parseGenerateOptions(options: unknown): GenerateOptions {
  const parsed = parse(generateOptionsSchema, options) as GenerateOptions;
  checkOnePrompt(parsed);
  if ((parsed.logProbsAt === undefined) !== (parsed.onLogProbs === undefined)) {
    throw new KvantError('INVALID_OPTION', 'logProbsAt and onLogProbs need each other: give both or neither');
  }
  if (parsed.ignoreEnd && (parsed.responseFormat ?? { type: 'text' }).type !== 'text') {
    const message =
      'ignoreEnd cannot be combined with a responseFormat of JSON, which ends where the JSON does: leave one out';
    throw new KvantError('INVALID_OPTION', message);
  }
  return parsed;
}

/** Checks what `declarePublicPrefix` and `encode` are given. @throws KvantError INVALID_OPTION */
export function parsePrefix(prefix: unknown): PromptText {
  return parseText(prefixSchema, prefix);
}

/** Checks the options of `saveSession`. @throws KvantError INVALID_OPTION */
export function parseSaveSession(options: unknown): SaveSessionOptions {
  return parseText(saveSessionSchema, options);
}

/** Checks the options of `saveToFolder`. @throws KvantError INVALID_OPTION */
export function parseSaveToFolder(options: unknown): SaveToFolderOptions & { readonly limit?: number } {
  return parseText(saveToFolderSchema, options);
}

/** Checks the options of `loadSession`. @throws KvantError INVALID_OPTION */
export function parseLoadSession(options: unknown): LoadSessionOptions {
  return parse(loadSessionSchema, options);
}

/** Checks the options of `loadFromFolder`. @throws KvantError INVALID_OPTION */
export function parseLoadFromFolder(options: unknown): LoadFromFolderOptions {
  return parseText(loadFromFolderSchema, options);
}

/** Checks a path of a file or folder. @throws KvantError INVALID_OPTION */
export function parsePath<Name extends 'path' | 'folder'>(
  name: Name,
  path: unknown,
): { readonly [name in Name]: string } {
  if (path === undefined) throw new KvantError('INVALID_OPTION', `give the ${name}: a text, as the first argument`);
  return parse(pathSchema, { [name]: path }) as { readonly [name in Name]: string };
}

function parseText(schema: z.ZodObject, options: unknown): PromptText {
  const parsed: PromptText = parse(schema, options);
  checkOnePrompt(parsed);
  return parsed;
}

function checkOnePrompt(options: PromptText): void {
  const given = (['prompt', 'messages', 'tokens'] as const).filter((name) => options[name] !== undefined);
  if (given.length === 1) return;
  const found = given.length === 0 ? 'got none' : `got ${given.join(' and ')}`;
  throw new KvantError('INVALID_OPTION', `give exactly one of prompt, messages and tokens; ${found}`);
}

/** Checks the options of `chat.send`. @throws KvantError INVALID_OPTION */
export function parseChatSendOptions(options: unknown): ChatSendOptions {
  return parse(chatSendOptionsSchema, options);
}

/** Checks the options of `model.chat`. @throws KvantError INVALID_OPTION */
export function parseChatOptions(options: unknown): { readonly system?: string } {
  return parse(chatOptionsSchema, options);
}

/** Checks the options of `model.stats`. @throws KvantError INVALID_OPTION */
export function parseStatsOptions(options: unknown): StatsOptions {
  return parse(statsOptionsSchema, options);
}

function parse(schema: z.ZodObject, options: unknown): object {
  const result = schema.safeParse(options);
  if (!result.success) throw toKvantError(schema, result.error.issues[0], options);
  return Object.fromEntries(Object.entries(result.data).filter(([, value]) => value !== undefined));
}

function toKvantError(schema: z.ZodObject, issue: z.core.$ZodIssue, options: unknown): KvantError {
  const name = issue.path.reduce<string>(appendKey, '');
  if (issue.code === 'unrecognized_keys') {
    const unknown = issue.keys.map((key) => `"${appendKey(name, key)}"`).join(', ');
    const known = name === '' ? `; known options: ${Object.keys(schema.shape).join(', ')}` : '';
    return new KvantError('INVALID_OPTION', `unknown option ${unknown}${known}`);
  }
  if (name === '') return new KvantError('INVALID_OPTION', `options must be an object; got ${show(options)}`);
  return invalidOption(name, issue, valueAt(options, issue.path));
}

function invalidOption(name: string, issue: z.core.$ZodIssue, value: unknown): KvantError {
  return new KvantError('INVALID_OPTION', `option "${name}" ${issue.message}; got ${show(value)}`);
}

function appendKey(path: string, key: PropertyKey): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  return path === '' ? String(key) : `${path}.${String(key)}`;
}

function valueAt(options: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value, key) => (value as Record<PropertyKey, unknown>)[key], options);
}

const MAX_SHOWN_CHARS = 60;

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number') return `${value}`;
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text;
}

function integerFrom(least: number, most?: number): z.ZodNumber {
  const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
  const rule = `must be a whole number ${range}`;
  const schema = z.int(rule).min(least, rule);
  return most === undefined ? schema : schema.max(most, rule);
}

function numberWhere(rule: string, holds: (value: number) => boolean): z.ZodNumber {
  return z.number(rule).refine(holds, rule);
}

function numberFrom(least: number, most: number): z.ZodNumber {
  return numberWhere(`must be a number from ${least} to ${most}`, (value) => value >= least && value <= most);
}

/** Token ids are keys, and so texts: whether the vocabulary has them is only known with the model. */
function logitBiases() {
  const id = z.string().regex(/^(0|[1-9]\d*)$/);
  return z.record(id, numberFrom(-100, 100), 'must be biases by token id, such as { "42": -100 }');
}

function nonEmptyString(rule: string): z.ZodString {
  return z.string(rule).min(1, rule);
}

function functionOf<T>(): z.ZodCustom<T, T> {
  return z.custom<T>((value) => typeof value === 'function', 'must be a function');
}

function abortSignal(): z.ZodCustom<AbortSignal, AbortSignal> {
  return z.custom<AbortSignal>((value) => value instanceof AbortSignal, 'must be an AbortSignal');
}

/** Bytes, from a number or a text with a unit. */
function memorySize() {
  return z
    .union([z.number(), z.string()], MEMORY_SIZE_RULE)
    .transform((value) => (typeof value === 'string' ? parseMemorySize(value) : value))
    .pipe(z.int(MEMORY_SIZE_RULE).min(1, MEMORY_SIZE_RULE));
}

function isKvFormatName(name: string): boolean {
  // The spelling does not depend on the size of a head, which is only known with the model.
  if (needsCalibration(name)) return true;
  const ANY_HEAD_DIM = 64;
  try {
    parseKvFormat(name, ANY_HEAD_DIM);
    return true;
  } catch {
    return false;
  }
}

function isAscending(values: readonly number[]): boolean {
  return values.every((value, i) => i === 0 || value > values[i - 1]);
}
