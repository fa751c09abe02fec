import { klDivergence, type LogProbs } from '../engine/kl-divergence.ts';
import { agreesOnTop1, summarize, type DivergenceSummary } from './kld.ts';

/** How far a candidate's distributions are from the reference's, over all positions. docs/accuracy.md defines each figure. */
export interface Fidelity {
  readonly numPositions: number;
  /** Kullback-Leibler divergence from the reference, in nats. */
  readonly kld: DivergenceSummary;
  /** Share of positions whose likeliest token is the same. */
  readonly top1Agreement: number;
  /** e to the mean negative log-probability of the token that follows. */
  readonly perplexity: number;
  /** The candidate's by the reference's. */
  readonly perplexityRatio: number;
  /** Root mean square of the change of the probability of the token that follows, 0 to 1. */
  readonly rmsProbabilityChange: number;
}

/** Compares distributions position by position, without keeping them. */
export class FidelityMeter {
  readonly #divergences: number[] = [];
  #numAgreements = 0;
  #referenceLogProbs = 0;
  #logProbs = 0;
  #squaredChanges = 0;

  /**
   * @param nextToken the token that follows in the text
   * @returns the divergence
   * @throws RangeError if the rows differ in length
   */
  add(reference: LogProbs, candidate: LogProbs, nextToken: number): number {
    const divergence = klDivergence(reference, candidate);
    this.#divergences.push(divergence);
    if (agreesOnTop1(reference, candidate)) this.#numAgreements += 1;
    this.#referenceLogProbs += reference[nextToken];
    this.#logProbs += candidate[nextToken];
    this.#squaredChanges += (Math.exp(candidate[nextToken]) - Math.exp(reference[nextToken])) ** 2;
    return divergence;
  }

  /** @throws RangeError if nothing has been added */
  result(): Fidelity {
    const numPositions = this.#divergences.length;
    const kld = summarize(this.#divergences);
    return {
      numPositions,
      kld,
      top1Agreement: this.#numAgreements / numPositions,
      perplexity: Math.exp(-this.#logProbs / numPositions),
      perplexityRatio: Math.exp((this.#referenceLogProbs - this.#logProbs) / numPositions),
      rmsProbabilityChange: Math.sqrt(this.#squaredChanges / numPositions),
    };
  }
}
