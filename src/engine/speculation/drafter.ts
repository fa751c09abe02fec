/** Guesses how a sequence goes on. What it guesses is only ever a proposal: the model decides, so that no guess can change a token. */
export interface Drafter {
  /**
   * @param tokens the whole sequence. It may have grown, shrunk or changed since the last call; growing costs least
   * @param maxTokens at least 1
   * @returns at most `maxTokens` tokens that may follow; none where it has no idea
   */
  propose(tokens: readonly number[], maxTokens: number): readonly number[] | Promise<readonly number[]>;
  /** Gives back what it keeps for the sequence. A later `propose` starts anew. */
  release(): void;
}
