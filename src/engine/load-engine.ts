import type { Kernels, KernelsConfig } from '../kernels/kernels.ts';
import type { ModelFile } from '../model/model-file.ts';
import { Transformer } from '../model/transformer.ts';
import { loadWeights } from '../model/weights.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { ChatTemplate, TEMPLATE_KEY } from '../tokens/chat-template.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import type { PromptEncoder } from './create-request.ts';
import { Engine } from './engine.ts';
import { KvMemory } from './kv-memory.ts';
import { chooseCtx, planMemory, type MemoryLimit } from './memory-plan.ts';
import type { EngineLoadOptions } from './protocol.ts';
import type { LoadProgress, ModelInfo } from './types.ts';
import { wallClockMs } from './wall-clock.ts';

/** What an engine needs of the platform that it runs on. */
export interface EnginePlatform {
  createKernels(backend: EngineLoadOptions['backend'], config: KernelsConfig): Promise<Kernels>;
  /** At least one; the smallest counts. */
  memoryLimits(backend: EngineLoadOptions['backend']): readonly MemoryLimit[];
  readonly yieldToEvents: () => Promise<void>;
}

export interface LoadEngineOptions extends Omit<EngineLoadOptions, 'modelPath'> {
  readonly prefillChunk?: number;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** A model that is ready to generate. */
export interface LoadedEngine extends PromptEncoder {
  readonly engine: Engine;
  readonly kernels: Kernels;
  readonly tokenizer: Tokenizer;
  readonly info: ModelInfo;
}

/**
 * Plans the memory, makes the kernels and loads the weights of a model. Closes the model's file.
 *
 * @throws KvantError INVALID_OPTION for a context that the model does not have or an unknown KV format, OUT_OF_MEMORY,
 *   MODEL_INVALID, MODEL_TRUNCATED, FILE_ERROR, BACKEND_UNAVAILABLE
 */
export async function loadEngine(
  model: ModelFile,
  options: LoadEngineOptions,
  platform: EnginePlatform,
): Promise<LoadedEngine> {
  try {
    return await load(model, options, platform);
  } finally {
    await model.file.close();
  }
}

async function load(model: ModelFile, options: LoadEngineOptions, platform: EnginePlatform): Promise<LoadedEngine> {
  const { hyperparameters } = model;
  const { backend, maxSequences, prefillChunk, onProgress } = options;
  const format = parseKvFormat(options.kv, hyperparameters.headDim);
  const ctx = chooseCtx(options.ctx, hyperparameters.contextLength);
  const demand = { hyperparameters, format, ctx, maxSequences, weightBytes: keptWeightBytes(model, backend) };
  const { maxRows, pageCounts } = planMemory(demand, platform.memoryLimits(backend));
  const config: KernelsConfig = {
    shape: hyperparameters,
    numHeads: hyperparameters.numHeads,
    format,
    ropeFrequencies: model.ropeFrequencies,
    maxRows,
    maxContext: ctx,
    numThreads: options.threads,
  };
  const starting = platform.createKernels(backend, config);
  const tokenizer = await tokenizerWhile(starting, model);
  const kernels = await starting;
  try {
    const weights = await loadWeights(kernels, model, {
      onProgress: (loadedBytes, totalBytes) => onProgress?.({ loadedBytes, totalBytes }),
    });
    const memory = new KvMemory(kernels, pageCounts);
    const transformer = new Transformer(kernels, weights, hyperparameters);
    const loadMs = wallClockMs() - options.requestedAtMs;
    const { yieldToEvents } = platform;
    const parts = { kernels, model: transformer, tokenizer, memory, loadMs, yieldToEvents };
    const engine = new Engine({ ...parts, ...(prefillChunk !== undefined && { prefillChunk }) });
    const info = describe(model, kernels, ctx, loadMs);
    return { engine, kernels, tokenizer, chatTemplate: chatTemplateOf(model, tokenizer), info };
  } catch (error) {
    await kernels.close();
    throw error;
  }
}

/** Makes the tokenizer while the kernels start on other threads. If that fails, they are closed. */
async function tokenizerWhile(starting: Promise<Kernels>, model: ModelFile): Promise<Tokenizer> {
  try {
    return new Tokenizer(model.tokenizerMetadata);
  } catch (error) {
    const kernels = await starting;
    await kernels.close();
    throw error;
  }
}

/**
 * Parsed when it is first wanted: a template that is missing or broken is no obstacle to raw prompts. Holds on to the one key that it
 * needs, not to the lists of the vocabulary.
 */
function chatTemplateOf({ tokenizerMetadata }: ModelFile, tokenizer: Tokenizer): () => ChatTemplate {
  const metadata = { [TEMPLATE_KEY]: tokenizerMetadata[TEMPLATE_KEY] };
  let template: ChatTemplate | undefined;
  return () => (template ??= new ChatTemplate(metadata, tokenizer));
}

const FLOAT32_BYTES = 4;

/** The reference backend keeps weights as float32, wasm in about as many bytes as the file. */
function keptWeightBytes(model: ModelFile, backend: EngineLoadOptions['backend']): number {
  return backend === 'reference' ? model.numParameters * FLOAT32_BYTES : model.weightBytes;
}

function describe(model: ModelFile, kernels: Kernels, ctx: number, loadMs: number): ModelInfo {
  const { hyperparameters } = model;
  return {
    name: model.name,
    path: model.file.name,
    architecture: hyperparameters.architecture,
    numParameters: model.numParameters,
    vocabularySize: hyperparameters.vocabularySize,
    contextLength: hyperparameters.contextLength,
    ctx,
    kvFormat: kernels.config.format.name,
    backend: kernels.description,
    memory: kernels.memoryUsage(),
    loadMs,
    hasChatTemplate: model.chatTemplate !== undefined,
  };
}
