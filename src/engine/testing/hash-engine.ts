import { PAGE_UNIT_BYTES } from '../../cache/page-layout.ts';
import type { PageStore } from '../../cache/page-store.ts';
import { rootKey } from '../../cache/prefix-key.ts';
import { unitsOfSequence } from '../../cache/sequence-pages.ts';
import { parseKvFormat, type KvFormat } from '../../quant/kv-format.ts';
import type { Tokenizer } from '../../tokens/tokenizer.ts';
import { Engine, type EngineSharing } from '../engine.ts';
import { KvMemory } from '../kv-memory.ts';
import type { HashModel } from './expected-answer.ts';
import { HashKernels } from './hash-kernels.ts';

const HEAD_DIM = 16;
/** Small, so that pages fill often; a multiple of 32, as page layouts want it. */
export const HASH_PAGE_SIZE = 32;

export interface HashEngineOptions {
  readonly tokenizer: Tokenizer;
  /** Names of formats; the first one is the default. */
  readonly kvs: readonly string[];
  readonly maxContext: number;
  readonly maxRows: number;
  /** Size of the arena. */
  readonly numUnits: number;
  readonly sharing: EngineSharing;
  readonly store?: PageStore | undefined;
  /** One state in as many gives logits that are not numbers. */
  readonly nanPeriod?: number;
  readonly yieldToEvents?: () => Promise<void>;
}

/** An engine on the model of hashes. */
export interface HashEngine {
  readonly kernels: HashKernels;
  readonly memory: KvMemory;
  readonly engine: Engine;
  /** In the order of their names. */
  readonly formats: readonly KvFormat[];
  readonly model: HashModel;
}

export function createHashEngine(options: HashEngineOptions): HashEngine {
  const { tokenizer, maxContext, maxRows, numUnits, sharing, store, nanPeriod = Infinity } = options;
  const formats = options.kvs.map((kv): KvFormat => ({ ...parseKvFormat(kv, HEAD_DIM), pageSize: HASH_PAGE_SIZE }));
  const shape = { numLayers: 1, numKvHeads: 1, headDim: HEAD_DIM };
  const config = { shape, numHeads: 1, format: formats[0], ropeFrequencies: [], maxRows, maxContext, numThreads: 1 };
  const hashKernels = new HashKernels(config, tokenizer.vocabularySize, nanPeriod);
  const kernels = hashKernels.asKernels();
  const rootOf = ({ name }: KvFormat) => rootKey({ name });
  const memory = new KvMemory(kernels, { numBytes: numUnits * PAGE_UNIT_BYTES, root: rootOf(formats[0]) });
  memory.store = store;
  for (const format of formats.slice(1)) memory.addFormat(format, rootOf(format));
  // Events of a thread never come within the call that lets them come.
  const yieldToEvents = options.yieldToEvents ?? (() => Promise.resolve());
  const engine = new Engine({ kernels, model: hashKernels, tokenizer, memory, loadMs: 0, sharing, yieldToEvents });
  const mostUnits = Math.min(numUnits, sharing.tenantQuotaUnits ?? numUnits);
  const mostTokens = (format: KvFormat): number => longestSequence(memory, format, mostUnits, maxContext);
  return {
    kernels: hashKernels,
    memory,
    engine,
    formats,
    model: { format: formats[0], tokenizer, mostTokens, nanPeriod },
  };
}

/** Counted up token by token, not by the engine's formula. */
function longestSequence(memory: KvMemory, format: KvFormat, mostUnits: number, maxContext: number): number {
  const { shape } = memory.cacheOf(format);
  let numTokens = 0;
  while (numTokens < maxContext && unitsOfSequence(shape, numTokens + 1) <= mostUnits) numTokens++;
  return numTokens;
}
