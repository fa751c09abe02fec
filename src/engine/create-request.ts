import type { ChatTemplate } from '../tokens/chat-template.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';
import { resolveSampling } from './defaults.ts';
import type { GrammarCache } from './grammar/grammar-cache.ts';
import type { KvFormats } from './kv-formats.ts';
import type { EngineGenerateOptions } from './protocol.ts';
import type { EngineRequest } from './request.ts';

/** What turns options into token ids. */
export interface PromptEncoder {
  readonly tokenizer: Pick<Tokenizer, 'encode' | 'addBos' | 'bosId'>;
  /** @throws KvantError MODEL_UNSUPPORTED if the model has no chat template, MODEL_INVALID if it cannot be parsed */
  chatTemplate(): ChatTemplate;
}

/** What turns options into a request. */
export interface RequestEncoder extends PromptEncoder {
  /** @throws KvantError INVALID_OPTION for a format that the model cannot have, and what reading a calibration throws */
  readonly formats: Pick<KvFormats, 'get'>;
  /** @throws KvantError INVALID_OPTION for a schema that cannot be used */
  readonly grammars: Pick<GrammarCache, 'get'>;
}

/**
 * A request for the engine. Raw text gets the model's BOS token, if it wants one, and its special tokens stay text; ids
 * are taken as they are.
 *
 * @param options checked already
 * @throws KvantError MODEL_UNSUPPORTED, MODEL_INVALID for messages that the model's template cannot take; INVALID_OPTION for a KV format or a schema
 *   that cannot be used
 */
export async function createEngineRequest(
  options: EngineGenerateOptions,
  encoder: RequestEncoder,
): Promise<EngineRequest> {
  const { kv, tenant, priority, speculate, reusePrefix, topLogProbs } = options;
  return {
    promptTokens: encodePrompt(options, encoder),
    sampling: resolveSampling(options, options.seed),
    maxTokens: options.maxTokens,
    stop: options.stop ?? [],
    ignoreEnd: options.ignoreEnd ?? false,
    logProbsAt: options.logProbsAt ?? [],
    conversation: options.conversation,
    grammar: encoder.grammars.get(options.responseFormat ?? { type: 'text' }),
    format: kv === undefined ? undefined : await encoder.formats.get(kv),
    ...{ tenant, priority, speculate, reusePrefix, topLogProbs },
  };
}

/** What prompts begin with that begin with this one: messages without the start of an answer. @param prefix checked already */
export function encodePrefix(
  prefix: Pick<EngineGenerateOptions, 'prompt' | 'messages' | 'tokens'>,
  encoder: PromptEncoder,
): readonly number[] {
  if (!prefix.messages) return encodePrompt(prefix, encoder);
  return encoder.chatTemplate().encode(prefix.messages, { addGenerationPrompt: false });
}

/** @param prompt checked already */
export function encodePrompt(
  { prompt, messages, tokens }: Pick<EngineGenerateOptions, 'prompt' | 'messages' | 'tokens'>,
  encoder: PromptEncoder,
): readonly number[] {
  if (tokens) return tokens;
  if (messages) return encoder.chatTemplate().encode(messages);
  const { tokenizer } = encoder;
  const ids = tokenizer.encode(prompt ?? '');
  return tokenizer.addBos && tokenizer.bosId !== undefined ? [tokenizer.bosId, ...ids] : ids;
}
