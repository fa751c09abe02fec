import { commonPrefixLength } from '../../engine/common-prefix.ts';
import type { ResolvedSampling } from '../../engine/defaults.ts';
import type { ModelInfo } from '../../engine/types.ts';
import type { KernelsConfig } from '../../kernels/kernels.ts';
import type { EvalSetup } from '../eval-engine.ts';
import { bitsOf, type Expected } from './comparison.ts';
import { ExactEngine } from './exact-engine.ts';
import { GREEDY, SAMPLED, type ExactText } from './exact-text.ts';

/** What is to be computed alone. */
export interface BaselineRequest {
  readonly tokens: readonly number[];
  readonly sampling: ResolvedSampling;
  readonly maxTokens: number;
}

interface Computed {
  readonly rows: ReadonlyMap<number, Uint32Array>;
  readonly tokenIds: readonly number[];
}

/**
 * What prompts give in one format when nothing of what is tested happens: one at a time, in whole pages, on one thread, without a cached
 * prefix, in an engine that was loaded with the format. Each is computed once.
 */
export class Baselines {
  readonly #kv: string;
  readonly #text: ExactText;
  readonly #setup: EvalSetup;
  readonly #computed = new Map<string, Promise<Computed>>();
  #engine: Promise<ExactEngine> | undefined;
  #config: KernelsConfig | undefined;

  constructor(kv: string, text: ExactText, setup: EvalSetup) {
    this.#kv = kv;
    this.#text = text;
    this.#setup = setup;
  }

  /** With the format. @throws RangeError before `start` */
  get config(): KernelsConfig {
    if (!this.#config) throw new RangeError('no baseline has been computed yet');
    return this.#config;
  }

  /** Computes what is kept: the text, greedily and sampled. */
  async start(): Promise<ModelInfo> {
    const { info } = await this.#open();
    await this.#main();
    for (const request of this.#textRequests()) await this.of(request);
    return info;
  }

  /**
   * What a prompt gives. Rows of positions that the text has in common are the text's.
   *
   * @throws as running it does
   */
  async of(request: BaselineRequest): Promise<Expected> {
    const main = await this.#main();
    const numShared = commonPrefixLength(request.tokens, this.#text.tokens);
    if (numShared === request.tokens.length && request.maxTokens === 0) {
      return { rowAt: (position) => (position < numShared ? main.rows.get(position) : undefined), tokenIds: [] };
    }
    const { rows, tokenIds } = await this.#compute(request, numShared);
    const rowAt = (position: number) =>
      rows.get(position) ?? (position < numShared ? main.rows.get(position) : undefined);
    return { rowAt, tokenIds };
  }

  /** Lets go of the engine, and of all but the text's own. It is loaded again when it is wanted. */
  async rest(): Promise<void> {
    const kept = new Set(this.#textRequests().map(keyOf));
    for (const key of this.#computed.keys()) if (!kept.has(key)) this.#computed.delete(key);
    await this.close();
  }

  async close(): Promise<void> {
    const engine = this.#engine;
    this.#engine = undefined;
    await (await engine)?.close();
  }

  /** The text greedily, of which every row is computed, and sampled. */
  #textRequests(): readonly [BaselineRequest, BaselineRequest] {
    const { tokens, numGenerated: maxTokens } = this.#text;
    return [
      { tokens, sampling: GREEDY, maxTokens },
      { tokens, sampling: SAMPLED, maxTokens },
    ];
  }

  #main(): Promise<Computed> {
    return this.#compute(this.#textRequests()[0], 0);
  }

  /** @param from first position whose row is wanted */
  #compute(request: BaselineRequest, from: number): Promise<Computed> {
    const key = keyOf(request);
    let computed = this.#computed.get(key);
    if (!computed) this.#computed.set(key, (computed = this.#run(request, from)));
    return computed;
  }

  async #run({ tokens, sampling, maxTokens }: BaselineRequest, from: number): Promise<Computed> {
    const engine = await this.#open();
    const rows = new Map<number, Uint32Array>();
    const logProbsAt = this.#text.positions(tokens.length, from);
    const request = { promptTokens: tokens, sampling, maxTokens, logProbsAt, reusePrefix: false };
    const { tokenIds } = await engine.run(request, {
      onLogits: (position, logits) => rows.set(position, bitsOf(logits.slice())),
    });
    return { rows, tokenIds };
  }

  #open(): Promise<ExactEngine> {
    return (this.#engine ??= ExactEngine.open({ kv: this.#kv, threads: 1, maxSequences: 1 }, this.#setup).then(
      (engine) => {
        this.#config = engine.config;
        return engine;
      },
    ));
  }
}

function keyOf({ tokens, sampling, maxTokens }: BaselineRequest): string {
  return JSON.stringify([tokens, sampling, maxTokens]);
}
