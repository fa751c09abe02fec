import * as z from 'zod';
import { chatSendOptionShape } from '../engine/options.ts';
import { ApiError } from './api-error.ts';
import { LIMITS } from './limits.ts';

/** Fields that several routes have, and what their errors say. A field that is null counts as absent, as OpenAI has it. */

const choicesRule = `must be a whole number from 1 to ${LIMITS.choices}`;
const stopText = textUpTo(LIMITS.stopChars).min(1, 'must be a text of at least one character');
const biasRule = 'must have token ids as its keys';
const stopRule = `must be a text, or a list of at most ${LIMITS.stops} texts`;

/** How tokens are chosen. */
export const samplingShape = {
  temperature: numberFrom(0, 2).nullish(),
  top_p: numberFrom(0, 1).nullish(),
  seed: z.int('must be a whole number').nullish(),
};

/** What chat and text completions have in common. */
export const completionShape = {
  ...samplingShape,
  model: textUpTo(LIMITS.nameChars).nullish(),
  n: z.int(choicesRule).min(1, choicesRule).max(LIMITS.choices, choicesRule).nullish(),
  stop: z.union([stopText, z.array(stopText).max(LIMITS.stops, stopRule)], stopRule).nullish(),
  frequency_penalty: numberFrom(-2, 2).nullish(),
  presence_penalty: numberFrom(-2, 2).nullish(),
  logit_bias: recordUpTo(LIMITS.logitBiases)
    .pipe(z.record(z.string().regex(/^\d{1,9}$/, biasRule), numberFrom(-100, 100)))
    .nullish(),
  stream: z.boolean('must be true or false').nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean('must be true or false').nullish(),
      include_obfuscation: z.boolean('must be true or false').nullish(),
    })
    .nullish(),
  user: textUpTo(LIMITS.nameChars).nullish(),
};

/** Whose meaning is for OpenAI's own machines: taken, and without effect. */
export const ignoredShape = {
  metadata: recordUpTo(LIMITS.metadataEntries)
    .pipe(z.record(textUpTo(64), textUpTo(512)))
    .nullish(),
  service_tier: z.enum(['auto', 'default'], 'must be auto or default').nullish(),
  prompt_cache_key: textUpTo(LIMITS.nameChars).nullish(),
  safety_identifier: textUpTo(LIMITS.nameChars).nullish(),
  store: z.literal(false, 'must be false: this server stores no answers').nullish(),
  parallel_tool_calls: z.boolean('must be true or false').nullish(),
};

/** Own fields: which KV format, which conversation, and sampling that OpenAI does not have. */
export const kvantShape = {
  kv: chatSendOptionShape.kv.nullish(),
  top_k: chatSendOptionShape.topK.nullish(),
  min_p: chatSendOptionShape.minP.nullish(),
  repetition_penalty: chatSendOptionShape.repetitionPenalty.nullish(),
};

export const kvantField = z.strictObject(kvantShape).nullish();

export function textUpTo(numChars: number): z.ZodString {
  return z.string('must be a text').max(numChars, `must have at most ${numChars} characters`);
}

/** Entries are counted before any of them is looked at. */
function recordUpTo(most: number) {
  return z
    .looseObject({}, 'must be an object')
    .refine((entries) => Object.keys(entries).length <= most, `must have at most ${most} entries`);
}

export function countUpTo(most: number): z.ZodInt {
  const rule = `must be a whole number from 0 to ${most}`;
  return z.int(rule).min(0, rule).max(most, rule);
}

export const tokenCount = z.int('must be a whole number of at least 1').min(1, 'must be a whole number of at least 1');

function numberFrom(least: number, most: number): z.ZodNumber {
  const rule = `must be a number from ${least} to ${most}`;
  return z.number(rule).min(least, rule).max(most, rule);
}

/**
 * What a client is told of a body, or a query, that is not as its schema says. Never more than a few characters of it.
 *
 * @param given the value that was checked
 */
export function toBodyError(error: z.ZodError, given: unknown): ApiError {
  const issue = deepestIssue(error.issues[0]);
  const param = issue.path.reduce<string>(appendKey, '');
  if (issue.code === 'unrecognized_keys') {
    const name = appendKey(param, shorten(issue.keys[0]));
    return new ApiError(400, `Unrecognized request argument supplied: ${name}`, {
      param: name,
      code: 'unknown_parameter',
    });
  }
  if (param === '') return new ApiError(400, 'the body must be a JSON object', { code: 'invalid_type' });
  const value = valueAt(given, issue.path);
  if (value === undefined) {
    return new ApiError(400, `Missing required parameter: '${param}'.`, { param, code: 'missing_required_parameter' });
  }
  const code = issue.code === 'invalid_type' || issue.code === 'invalid_union' ? 'invalid_type' : 'invalid_value';
  return new ApiError(400, `'${param}' ${issue.message}; got ${show(value)}`, { param, code });
}

/** Of a value that may be of several kinds: what is wrong with it as the kind that it is nearest to. */
function deepestIssue(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code === 'invalid_key')
    return { ...issue, message: issue.issues[0].message, path: issue.path.slice(0, -1) };
  if (issue.code !== 'invalid_union') return issue;
  const options = issue.errors.map(([first]) => first).filter((first) => first !== undefined);
  const within = options.find(
    ({ path, code }) => path.length > 0 || code === 'unrecognized_keys' || code === 'too_big',
  );
  if (!within) return issue;
  const deeper = deepestIssue(within);
  return { ...deeper, path: [...issue.path, ...deeper.path] };
}

function appendKey(path: string, key: PropertyKey): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  const name = shorten(String(key));
  return path === '' ? name : `${path}.${name}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (at as Readonly<Record<PropertyKey, unknown>> | null | undefined)?.[key],
    value,
  );
}

const MAX_SHOWN_CHARS = 40;

function shorten(text: string): string {
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text;
}

/** Kind, and the value where it is short: a long one might be a prompt. */
function show(value: unknown): string {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return value.length > MAX_SHOWN_CHARS ? 'a long text' : JSON.stringify(value);
  return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
}
