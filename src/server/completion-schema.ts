import * as z from 'zod';
import { completionShape, countUpTo, ignoredShape, kvantField, tokenCount } from './body-schema.ts';
import { completionHeadSchema, finishReasonSchema } from './chat-completion.ts';
import { count } from './answer-schema.ts';
import { LIMITS } from './limits.ts';
import { textLogprobsSchema } from './logprobs.ts';
import { kvantReportSchema, usageSchema } from './usage.ts';

/** The body of `POST /v1/completions`, and what it answers. */

const promptRule = `must be a text, a list of at most ${LIMITS.prompts} texts, a list of token ids, or a list of such lists`;
const tokenIds = z.array(z.int(promptRule).min(0, promptRule)).min(1, promptRule).max(LIMITS.tokens, promptRule);

export const completionSchema = z.strictObject({
  ...completionShape,
  ...ignoredShape,
  prompt: z.union(
    [
      z.string(promptRule),
      z.array(z.string(promptRule)).min(1, promptRule).max(LIMITS.prompts, promptRule),
      tokenIds,
      z.array(tokenIds).min(1, promptRule).max(LIMITS.prompts, promptRule),
    ],
    promptRule,
  ),
  max_tokens: tokenCount.nullish(),
  logprobs: countUpTo(LIMITS.topLogprobs).nullish(),
  echo: z.boolean('must be true or false').nullish(),
  kvant: kvantField,
});

export type CompletionBody = z.infer<typeof completionSchema>;

/** A text, or token ids as they are. */
export type Prompt = { readonly prompt: string } | { readonly tokens: readonly number[] };

export function toPrompts(prompt: CompletionBody['prompt']): readonly Prompt[] {
  if (typeof prompt === 'string') return [{ prompt }];
  if (prompt.every((each) => typeof each === 'number')) return [{ tokens: prompt }];
  return prompt.map((each) => (typeof each === 'string' ? { prompt: each } : { tokens: each }));
}

/** A whole completion, or a chunk of one, which differ in nothing but what is in them. */
export const textCompletionSchema = completionHeadSchema.extend({
  object: z.literal('text_completion'),
  choices: z.array(
    z.object({
      index: count,
      text: z.string(),
      logprobs: textLogprobsSchema.nullable(),
      finish_reason: finishReasonSchema.nullable().describe('Null in all chunks of a choice but the last'),
    }),
  ),
  usage: usageSchema.nullable().optional(),
  kvant: kvantReportSchema.optional(),
});

export type TextCompletion = z.infer<typeof textCompletionSchema>;
