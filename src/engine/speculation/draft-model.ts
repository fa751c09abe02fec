import type { SequencePages } from '../../cache/sequence-pages.ts';
import type { Activation, Kernels, Step } from '../../kernels/kernels.ts';
import type { ResolvedSampling } from '../defaults.ts';
import type { KvMemory } from '../kv-memory.ts';
import { sampleToken } from '../sampler.ts';
import type { Drafter } from './drafter.ts';

/** A model that computes steps, see `ForwardModel` of the engine. */
interface ForwardModel {
  readonly logits: Activation;
  forward(step: Step): Promise<void>;
}

export interface DraftModelParts {
  readonly name: string;
  readonly kernels: Kernels;
  readonly model: ForwardModel;
  readonly memory: Pick<KvMemory, 'defaultCache' | 'createSequence' | 'check'>;
  /** Tokens that end an answer: nothing is drafted behind them. */
  readonly endIds: ReadonlySet<number>;
}

/** Chooses the token that follows. */
type Sample = (logits: Float32Array, tokens: readonly number[]) => number;

/** A second, smaller model with the same vocabulary, on kernels and pages of its own. */
export class DraftModel {
  readonly name: string;
  readonly kernels: Kernels;
  readonly #parts: DraftModelParts;
  readonly #running = new Set<DraftSequence>();

  constructor(parts: DraftModelParts) {
    this.name = parts.name;
    this.kernels = parts.kernels;
    this.#parts = parts;
  }

  /**
   * Drafts for one sequence. Tokens are sampled as the target samples them, with the same seed at the same position: where both
   * models hold the same tokens likely, the same random number picks the same one.
   *
   * @param numPromptTokens tokens of the sequence before its answer
   */
  createDrafter(sampling: ResolvedSampling, numPromptTokens: number): Drafter {
    const sample: Sample = (logits, tokens) => sampleToken(logits, tokens, tokens.length, sampling, numPromptTokens);
    const sequence: DraftSequence = new DraftSequence(this.#parts, sample, () => this.#running.delete(sequence));
    this.#running.add(sequence);
    return sequence;
  }

  /** Sequences that have not been released. */
  get numSequences(): number {
    return this.#running.size;
  }

  /** Checks that every page has exactly the owners that it counts. @throws PageIntegrityError with the sum that fails */
  checkPages(): void {
    this.#parts.memory.check([...this.#running].map(({ pages }) => pages));
  }
}

/** What the draft model has computed of one sequence. */
class DraftSequence implements Drafter {
  readonly pages: SequencePages;
  readonly #parts: DraftModelParts;
  readonly #sample: Sample;
  readonly #onRelease: () => void;
  /** Tokens whose keys and values the pages hold; drafts that were not accepted among them. */
  #computed: number[] = [];

  constructor(parts: DraftModelParts, sample: Sample, onRelease: () => void) {
    this.#parts = parts;
    this.#sample = sample;
    this.#onRelease = onRelease;
    this.pages = parts.memory.createSequence();
  }

  /**
   * Computes what is new of the sequence, and drafts behind it. Takes in at most as many tokens as one step has rows: a long prompt is
   * taken in over several calls, which draft nothing, so that no step of the target waits for all of it.
   *
   * @throws KvantError ENGINE_FAILED, OUT_OF_MEMORY if more sequences draft than there are pages for
   */
  async propose(tokens: readonly number[], maxTokens: number): Promise<readonly number[]> {
    const { kernels, endIds } = this.#parts;
    if (tokens.length > kernels.config.maxContext) return [];
    this.#goBack(tokens);
    if (!(await this.#takeIn(tokens))) return [];
    const all = [...tokens];
    const mostTokens = Math.min(maxTokens, kernels.config.maxContext - tokens.length);
    while (all.length < tokens.length + mostTokens) {
      const token = this.#sample(kernels.readRow(this.#parts.model.logits, 0), all);
      all.push(token);
      // A draft never fills a page: sealed, it could only be taken back with all tokens of that page.
      if (endIds.has(token) || this.pages.numTokensToFull === 1 || all.length === tokens.length + mostTokens) break;
      await this.#compute([token], true);
    }
    return all.slice(tokens.length);
  }

  release(): void {
    this.pages.release();
    this.#computed = [];
    this.#onRelease();
  }

  /** Keeps of the pages what is the same, but for the last token, whose logits are wanted again. */
  #goBack(tokens: readonly number[]): void {
    const most = Math.min(this.#computed.length, tokens.length - 1);
    let length = 0;
    while (length < most && tokens[length] === this.#computed[length]) length++;
    this.#computed.length = this.pages.truncate(length);
  }

  /** Whether it came to the end. */
  async #takeIn(tokens: readonly number[]): Promise<boolean> {
    const { maxRows } = this.#parts.kernels.config;
    const end = Math.min(tokens.length, this.#computed.length + maxRows);
    while (this.#computed.length < end) {
      const start = this.#computed.length;
      const next = Math.min(end, start + this.pages.numTokensToFull);
      await this.#compute(tokens.slice(start, next), next === tokens.length);
    }
    return end === tokens.length;
  }

  async #compute(tokenIds: readonly number[], wantsLogits: boolean): Promise<void> {
    const numRows = tokenIds.length;
    this.pages.reserve(numRows);
    const { pages } = this.#parts.memory.defaultCache;
    const segment = { firstRow: 0, numRows, pages, ...this.pages.segment(numRows) };
    const outputRows = wantsLogits ? [numRows - 1] : [];
    await this.#parts.model.forward({ tokenIds, segments: [segment], outputRows });
    this.pages.commit(numRows);
    this.#computed.push(...tokenIds);
  }
}
