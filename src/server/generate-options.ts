import type * as z from 'zod';
import type { ResponseFormat } from '../engine/output-types.ts';
import type { ChatSendOptions } from '../engine/types.ts';
import { invalidRequest } from './api-error.ts';
import type { completionShape, kvantShape } from './body-schema.ts';

/** What an operator lets answers be. */
export interface AnswerDefaults {
  /** Most tokens of an answer, and those that it has where a request does not say. */
  readonly maxTokens: number;
  /** Where a request does not say. */
  readonly temperature: number;
}

type Given<Shape extends Readonly<Record<string, z.ZodType>>> = {
  readonly [Name in keyof Shape]?: z.infer<Shape[Name]>;
};
type SamplingFields = Pick<
  Given<typeof completionShape>,
  'temperature' | 'top_p' | 'seed' | 'stop' | 'frequency_penalty' | 'presence_penalty' | 'logit_bias'
>;

export interface AnswerFields extends SamplingFields {
  readonly kvant?: Given<typeof kvantShape> | null | undefined;
}

/** What an answer needs beyond what all routes have. */
export interface AnswerForm {
  readonly maxTokens: number;
  readonly tenant: string;
  readonly topLogProbs?: number | undefined;
  readonly responseFormat?: ResponseFormat | undefined;
}

const NUM_SEEDS = 2 ** 32;

/** 0 takes the likeliest token alone, as a share that every token exceeds does. */
const LEAST_TOP_P = 1e-9;

/**
 * Options of the engine from the fields of a request. Seeds, which OpenAI's clients may choose from all whole numbers, are taken modulo 2^32.
 *
 * @param choice which of the answers it is: each has a seed of its own
 */
export function toGenerateOptions(
  fields: AnswerFields,
  form: AnswerForm,
  defaults: AnswerDefaults,
  choice: number,
): Omit<ChatSendOptions, 'signal' | 'onStart' | 'onPrefillProgress'> {
  const { temperature, top_p: topP, seed, stop, kvant } = fields;
  const { maxTokens, tenant, topLogProbs, responseFormat } = form;
  return {
    maxTokens,
    tenant,
    temperature: temperature ?? defaults.temperature,
    ...present({
      topP: topP === undefined || topP === null ? undefined : Math.max(topP, LEAST_TOP_P),
      seed: seed === undefined || seed === null ? undefined : modulo(seed + choice, NUM_SEEDS),
      stop: typeof stop === 'string' ? [stop] : stop,
      frequencyPenalty: fields.frequency_penalty,
      presencePenalty: fields.presence_penalty,
      logitBias: fields.logit_bias,
      topLogProbs,
      responseFormat,
      kv: kvant?.kv,
      topK: kvant?.top_k,
      minP: kvant?.min_p,
      repetitionPenalty: kvant?.repetition_penalty,
    }),
  };
}

/** Most tokens of an answer. @throws ApiError for more than the operator allows */
export function maxTokensOf(param: string, asked: number | null | undefined, { maxTokens }: AnswerDefaults): number {
  if (asked === undefined || asked === null) return maxTokens;
  if (asked <= maxTokens) return asked;
  throw invalidRequest(param, `${param} is too large: ${asked}. This server answers with at most ${maxTokens} tokens`);
}

type Present<T> = { [Name in keyof T]?: Exclude<T[Name], null | undefined> };

function present<T extends object>(options: T): Present<T> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries) as Present<T>;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
