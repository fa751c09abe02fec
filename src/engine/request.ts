import type { KvFormat } from '../quant/kv-format.ts';
import type { ResolvedSampling } from './defaults.ts';
import type { AnswerGrammar } from './grammar/answer-grammar.ts';
import type { PromptUsage, SpeculationMode, TextChunk } from './types.ts';

/** A generation as the engine takes it: token ids and plain data, every default filled in. */
export interface EngineRequest {
  /** At least one. */
  readonly promptTokens: readonly number[];
  readonly sampling: ResolvedSampling;
  /** Undefined: as many as fit into the context. */
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  /** Whether tokens that end a turn are tokens as any other; absent: they end the answer. */
  readonly ignoreEnd?: boolean;
  /** Undefined: see `resolveMode`. */
  readonly speculate?: SpeculationMode | undefined;
  /** What the answer may be; undefined: any text. */
  readonly grammar?: AnswerGrammar | undefined;
  /** How many of the likeliest tokens are told of each token's place; undefined: nothing is. */
  readonly topLogProbs?: number | undefined;
  /** Prompt positions, ascending, whose log-probabilities are wanted. */
  readonly logProbsAt: readonly number[];
  /** The conversation that goes on, and whose pages are kept afterwards. */
  readonly conversation: number | undefined;
  /** Default: the one that the engine was loaded with. */
  readonly format?: KvFormat | undefined;
  /** Whose request it is: pages are shared within a tenant. Default: `DEFAULT_TENANT`. */
  readonly tenant?: string | undefined;
  /** Higher goes first where the engine's policy is `priority`. Default 0. */
  readonly priority?: number | undefined;
  /** False: the whole prompt is computed, and its pages are not kept for others, as measurements need it. Default true. */
  readonly reusePrefix?: boolean | undefined;
}

/** Of requests that name no tenant. */
export const DEFAULT_TENANT = 'default';

/** Who is told what happens to a request. Called during a step; must not throw. */
export interface RequestEvents {
  /** The request starts; not told again when it goes on after a preemption. */
  onStart?(usage: PromptUsage): void;
  onChunk(chunk: TextChunk): void;
  /**
   * Every row of logits that the request uses: of positions that `logProbsAt` names, and of those after which a token is chosen.
   *
   * @param logits [vocabulary], the backend's own: to be read before this returns
   */
  onLogits?(position: number, logits: Float32Array): void;
  /** @param logProbs [vocabulary], the receiver's own */
  onLogProbs(position: number, logProbs: Float32Array): void;
  onPrefillProgress(progress: { readonly computedTokens: number; readonly totalTokens: number }): void;
}
