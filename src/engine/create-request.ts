import type { ChatTemplate } from '../tokens/chat-template.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';
import { resolveSampling } from './defaults.ts';
import type { EngineGenerateOptions } from './protocol.ts';
import type { EngineRequest } from './request.ts';

/** What turns options into token ids. */
export interface PromptEncoder {
  readonly tokenizer: Pick<Tokenizer, 'encode' | 'addBos' | 'bosId'>;
  /** @throws KvantError MODEL_UNSUPPORTED if the model has no chat template, MODEL_INVALID if it cannot be parsed */
  chatTemplate(): ChatTemplate;
}

/**
 * A request for the engine. Raw text gets the model's BOS token, if it wants one, and its special tokens stay text; ids
 * are taken as they are.
 *
 * @param options checked already
 * @throws KvantError MODEL_UNSUPPORTED, MODEL_INVALID for messages that the model's template cannot take
 */
export function createEngineRequest(options: EngineGenerateOptions, encoder: PromptEncoder): EngineRequest {
  return {
    promptTokens: encodePrompt(options, encoder),
    sampling: resolveSampling(options, options.seed),
    maxTokens: options.maxTokens,
    stop: options.stop ?? [],
    ...(options.speculate && { speculate: options.speculate }),
    logProbsAt: options.logProbsAt ?? [],
    conversation: options.conversation,
  };
}

function encodePrompt({ prompt, messages, tokens }: EngineGenerateOptions, encoder: PromptEncoder): readonly number[] {
  if (tokens) return tokens;
  if (messages) return encoder.chatTemplate().encode(messages);
  const { tokenizer } = encoder;
  const ids = tokenizer.encode(prompt ?? '');
  return tokenizer.addBos && tokenizer.bosId !== undefined ? [tokenizer.bosId, ...ids] : ids;
}
