import assert from 'node:assert/strict';
import type { KvShape } from '../../src/cache/page-layout.ts';
import { loadEngine, type EnginePlatform, type LoadedEngine } from '../../src/engine/load-engine.ts';
import { SAMPLING_DEFAULTS } from '../../src/engine/options.ts';
import { nodePlatform } from '../../src/engine/platform-node.ts';
import type { EngineLoadOptions } from '../../src/engine/protocol.ts';
import type { EngineRequest } from '../../src/engine/request.ts';
import type { Activations, Kernels } from '../../src/kernels/kernels.ts';
import { openModelFile } from '../../src/model/model-file.ts';
import { MemorySource } from '../../src/model/testing/memory-source.ts';
import type { KvFormat } from '../../src/quant/kv-format.ts';

export interface Setup {
  readonly backend: EngineLoadOptions['backend'];
  readonly activations?: Activations;
  readonly kv: string;
  readonly threads?: number;
  readonly prefillChunk?: number;
  readonly maxSequences?: number;
  /** What kernels get in place of the format that the name stands for. */
  readonly adapt?: (format: KvFormat, shape: KvShape) => KvFormat;
}

export const NUM_GENERATED = 12;

/** An engine that remembers the row of logits that was read last. */
export async function withEngine<T>(
  model: Uint8Array,
  setup: Setup,
  use: (engine: LoadedEngine['engine'], lastRow: () => Float32Array) => Promise<T>,
): Promise<T> {
  const { adapt, activations = 'int8', ...loading } = setup;
  let row = new Float32Array();
  const platform: EnginePlatform = {
    ...nodePlatform,
    async createKernels(backend, config) {
      const format = adapt?.(config.format, config.shape) ?? config.format;
      const kernels = await nodePlatform.createKernels(backend, { ...config, format, activations });
      const readRow: Kernels['readRow'] = (...parameters) => (row = kernels.readRow(...parameters).slice());
      return new Proxy(kernels, {
        get(target, name) {
          if (name === 'readRow') return readRow;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
    },
  };
  const options = { threads: 1, maxSequences: 1, ctx: 1200, requestedAtMs: 0, ...loading };
  const loaded = await loadEngine(await openModelFile(new MemorySource(model)), options, platform);
  try {
    const result = await use(loaded.engine, () => row);
    loaded.engine.checkPages();
    return result;
  } finally {
    await loaded.engine.close();
    await loaded.kernels.close();
  }
}

/** Everything that must be the same: the logits at prompt positions, by position, and what is generated after them. */
export interface Outcome {
  readonly logits: Map<number, Uint8Array>;
  readonly tokenIds: readonly number[];
}

export function submit(
  engine: LoadedEngine['engine'],
  lastRow: () => Float32Array,
  changes: Partial<EngineRequest> & Pick<EngineRequest, 'promptTokens'>,
): Promise<Outcome & { readonly cachedTokens: number }> {
  const logits = new Map<number, Uint8Array>();
  const request: EngineRequest = {
    sampling: { ...SAMPLING_DEFAULTS, temperature: 1, seed: 11 },
    maxTokens: NUM_GENERATED,
    stop: [],
    logProbsAt: changes.promptTokens.map((_, position) => position),
    conversation: undefined,
    ...changes,
  };
  const { result } = engine.submit(request, {
    onChunk: () => undefined,
    onPrefillProgress: () => undefined,
    onLogProbs: (position) => logits.set(position, new Uint8Array(lastRow().buffer)),
  });
  return result.then(({ tokenIds, cachedTokens }) => ({ logits, tokenIds, cachedTokens }));
}

export function runAlone(model: Uint8Array, setup: Setup, prompt: readonly number[]): Promise<Outcome> {
  return withEngine(model, setup, (engine, lastRow) => submit(engine, lastRow, { promptTokens: prompt }));
}

/** Compares what `found` has with `expected`, which may have more positions. */
export function assertSame(found: Outcome, expected: Outcome, what: string): void {
  for (const [position, bytes] of found.logits) {
    assert.ok(Buffer.from(bytes).equals(expected.logits.get(position)!), `${what}: logits of position ${position}`);
  }
  assert.deepEqual(found.tokenIds, expected.tokenIds, `${what}: generated tokens`);
}

/** Runs a prompt as the last of several, which are under way when it starts and generate `maxTokens` each. */
export function runBeside(
  model: Uint8Array,
  setup: Setup,
  prompt: readonly number[],
  others: number[][],
  maxTokens: number,
): Promise<Outcome> {
  return withEngine(model, { ...setup, maxSequences: others.length + 1 }, async (engine, lastRow) => {
    const running = others.map((promptTokens) => submit(engine, lastRow, { promptTokens, maxTokens, logProbsAt: [] }));
    const outcome = await submit(engine, lastRow, { promptTokens: prompt });
    await Promise.all(running);
    return outcome;
  });
}
