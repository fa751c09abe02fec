import { MemorySource } from '../../model/testing/memory-source.ts';
import { TINY, tinyModel } from '../../model/testing/tiny-llama.ts';
import { openModelFile, type ModelFile } from '../../model/model-file.ts';
import { writeGguf } from '../../../test/support/gguf-writer.ts';
import type { TestArchitecture } from '../../../test/support/own-vectors.ts';
import { loadEngine, type EnginePlatform, type LoadEngineOptions, type LoadedEngine } from '../load-engine.ts';
import { SAMPLING_DEFAULTS } from '../defaults.ts';
import { nodePlatform } from '../platform-node.ts';
import type { EngineRequest, RequestEvents } from '../request.ts';
import { wallClockMs } from '../wall-clock.ts';

/** Ends a turn. */
export const END_ID = 0;
/** The letter `a`; those after it follow up to `z`. */
export const LETTER_A_ID = 1;

const NORMAL = 1;
const CONTROL = 3;
const CONTEXT_LENGTH = 2048;

const TEMPLATE = '{% for message in messages %}{{ message.content }}<|end|>{% endfor %}';

/**
 * A model of random weights whose tokens are letters: its answers make no sense, and every bit of its logits counts.
 */
export function tinyGguf(architecture: TestArchitecture = 'llama'): Uint8Array<ArrayBuffer> {
  const tokens = ['<|end|>', ...'abcdefghijklmnopqrstuvwxyz0123456789.,', 'ab'];
  if (tokens.length !== TINY.vocabulary) throw new RangeError(`${tokens.length} tokens`);
  return writeGguf(
    tinyModel(architecture, {
      metadata: {
        [`${architecture}.context_length`]: CONTEXT_LENGTH,
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.token_type': tokens.map((_, id) => (id === END_ID ? CONTROL : NORMAL)),
        'tokenizer.ggml.merges': ['a b'],
        'tokenizer.ggml.eos_token_id': END_ID,
        'tokenizer.chat_template': TEMPLATE,
      },
    }),
  );
}

export function openTinyModel(): Promise<ModelFile> {
  return openModelFile(new MemorySource(tinyGguf()));
}

/** Loads the tiny model, in the reference backend unless told otherwise. */
export async function loadTinyEngine(
  options: Partial<LoadEngineOptions> = {},
  platform: EnginePlatform = nodePlatform,
): Promise<LoadedEngine> {
  const defaults = {
    kv: 'q4',
    ctx: undefined,
    threads: 1,
    backend: 'reference',
    maxSequences: 1,
  } as const;
  return loadEngine(await openTinyModel(), { ...defaults, requestedAtMs: wallClockMs(), ...options }, platform);
}

/** A greedy request of letters, without anything else. */
export function request(changes: Partial<EngineRequest> = {}): EngineRequest {
  return {
    promptTokens: letters(5),
    sampling: { ...SAMPLING_DEFAULTS, seed: 0 },
    maxTokens: undefined,
    stop: [],
    logProbsAt: [],
    conversation: undefined,
    ...changes,
  };
}

/** Token ids of letters in an order that does not repeat soon. */
export function letters(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, i) => LETTER_A_ID + (((first + i) * (first + i + 7)) % 26));
}

/** Nobody listens. */
export const NO_EVENTS: RequestEvents = {
  onChunk: () => undefined,
  onLogProbs: () => undefined,
  onPrefillProgress: () => undefined,
};
