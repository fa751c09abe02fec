import type { SequencePages } from '../cache/sequence-pages.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { AuditPlan } from './audit-plan.ts';
import type { ForwardModel } from './forward-model.ts';
import { klDivergence } from './kl-divergence.ts';
import type { KvCache, KvMemory } from './kv-memory.ts';
import { logSoftmax } from './log-softmax.ts';

export interface AuditRunParts {
  readonly kernels: Kernels;
  readonly model: ForwardModel;
  /** Where the pages of both lie. */
  readonly memory: KvMemory;
  /** Of an f16 cache, and of the one that is audited. */
  readonly reference: KvCache;
  readonly candidate: KvCache;
}

/**
 * Runs tokens through a model as two sequences beside each other, one with an f16 cache, and compares what they say of the same positions: so no
 * row is kept longer than its step.
 */
export class AuditRun {
  readonly #parts: AuditRunParts;
  readonly #plan: AuditPlan;
  readonly #reference: SequencePages;
  readonly #candidate: SequencePages;
  #numCompared = 0;
  #sum = 0;

  constructor(parts: AuditRunParts, plan: AuditPlan) {
    this.#parts = parts;
    this.#plan = plan;
    this.#reference = parts.memory.createSequence(parts.reference);
    this.#candidate = parts.memory.createSequence(parts.candidate);
  }

  /** Both sequences', for `KvMemory.check`. */
  get pages(): readonly SequencePages[] {
    return [this.#reference, this.#candidate];
  }

  /** Mean over the positions, in nats; undefined before the last of them has been computed. */
  get kld(): number | undefined {
    const { positions } = this.#plan;
    return this.#numCompared < positions.length ? undefined : this.#sum / positions.length;
  }

  /** Whether the next step compares: then it has an output for each of its tokens, which takes longer. */
  get isComparing(): boolean {
    return this.#reference.numTokens >= this.#plan.positions[0];
  }

  /**
   * Computes the next tokens, all of which are compared or none.
   *
   * @param maxTokens a step has twice as many rows
   * @throws KvantError ENGINE_FAILED
   */
  async step(maxTokens: number): Promise<void> {
    const { model } = this.#parts;
    const sides = [this.#reference, this.#candidate];
    const first = this.#reference.numTokens;
    // Their pages need not end at the same positions: only one of them may have sink tokens.
    const numTokensToFull = Math.min(...sides.map((pages) => pages.numTokensToFull));
    const { tokens: all, positions } = this.#plan;
    const end = this.isComparing ? all.length : positions[0];
    const numTokens = Math.min(maxTokens, numTokensToFull, end - first);
    const tokens = all.slice(first, first + numTokens);
    const rows = this.isComparing ? tokens.map((_, row) => row) : [];
    // Whoever gets a page may move others: places are noted down when both have theirs.
    for (const pages of sides) pages.reserve(numTokens);
    const caches = [this.#parts.reference, this.#parts.candidate];
    const segments = sides.map((pages, side) => {
      const place = { firstRow: side * numTokens, numRows: numTokens, pages: caches[side].pages };
      return { ...place, ...pages.segment(numTokens) };
    });
    const outputRows = [...rows, ...rows.map((row) => numTokens + row)];
    await model.forward({ tokenIds: [...tokens, ...tokens], segments, outputRows });
    for (const pages of sides) pages.commit(numTokens);
    rows.forEach((_, index) => this.#compare(index, rows.length + index));
  }

  /** Gives the pages back. */
  release(): void {
    this.#reference.release();
    this.#candidate.release();
  }

  #compare(referenceRow: number, candidateRow: number): void {
    const { kernels, model } = this.#parts;
    const logProbsOf = (row: number): Float32Array => logSoftmax(kernels.readRow(model.logits, row));
    this.#sum += klDivergence(logProbsOf(referenceRow), logProbsOf(candidateRow));
    this.#numCompared++;
  }
}
