import type { ResolvedSampling } from './defaults.ts';
import type { SpeculationMode, TextChunk } from './types.ts';

/** A generation as the engine takes it: token ids and plain data, every default filled in. */
export interface EngineRequest {
  /** At least one. */
  readonly promptTokens: readonly number[];
  readonly sampling: ResolvedSampling;
  /** Undefined: as many as fit into the context. */
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  /** Undefined: see `resolveMode`. */
  readonly speculate?: SpeculationMode | undefined;
  /** Prompt positions, ascending, whose log-probabilities are wanted. */
  readonly logProbsAt: readonly number[];
  /** The conversation that goes on, and whose pages are kept afterwards. */
  readonly conversation: number | undefined;
}

/** Who is told what happens to a request. Called during a step; must not throw. */
export interface RequestEvents {
  onChunk(chunk: TextChunk): void;
  /** @param logProbs [vocabulary], the receiver's own */
  onLogProbs(position: number, logProbs: Float32Array): void;
  onPrefillProgress(progress: { readonly computedTokens: number; readonly totalTokens: number }): void;
}
