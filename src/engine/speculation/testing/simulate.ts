import type { StepCost } from '../step-costs.ts';
import { StepCosts } from '../step-costs.ts';
import { LookupSpeculator } from '../lookup-speculator.ts';
import { PromptLookup } from '../prompt-lookup.ts';
import type { SpeculationStats } from '../speculator.ts';

/** A sequence whose answer is known beforehand: what a model would sample. */
export interface SimulatedText {
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

export interface Simulated {
  /** Time without drafts by time with them. */
  readonly speedUp: number;
  readonly stats: SpeculationStats;
}

export interface SimulatedMachine extends StepCost {
  /** Factor on a step's time, for a machine that others use too. */
  readonly noise?: () => number;
  readonly maxTokens?: number;
  readonly numOtherRows?: number;
}

/**
 * Simulates decoding with drafts: no model runs, drafts are compared with the known answer, and a step's time is `fixedMs + rows * rowMs`. The noise of a step is
 * left out of the times that are compared.
 */
export function simulate({ prompt, answer }: SimulatedText, machine: SimulatedMachine): Simulated {
  const { fixedMs, rowMs, noise = () => 1, maxTokens = 32, numOtherRows = 0 } = machine;
  const costs = new StepCosts();
  const speculator = new LookupSpeculator(costs);
  const msOf = (numRows: number): number => fixedMs + numRows * rowMs;
  const all = [...prompt, ...answer];
  let [length, ms] = [prompt.length + 1, 0];
  while (length < all.length) {
    const most = Math.min(maxTokens, all.length - length - 1);
    const drafts = speculator.draft(all.slice(0, length), { maxTokens: most, numOtherRows });
    const wrong = drafts.findIndex((token, i) => token !== all[length + i]);
    const accepted = wrong < 0 ? drafts.length : wrong;
    const numRows = 1 + numOtherRows + drafts.length;
    costs.observe({ numRows, numSequences: 1 + numOtherRows, ms: msOf(numRows) * noise() });
    speculator.observe({ drafted: drafts.length, accepted });
    ms += msOf(numRows);
    length += accepted + 1;
  }
  return { speedUp: ((answer.length - 1) * msOf(1 + numOtherRows)) / ms, stats: speculator.stats };
}

/**
 * The most that drafts of this kind could give: the same with one draft of the right length in every step, as if it were known which tokens
 * lookup guesses right.
 */
export function simulateBest({ prompt, answer }: SimulatedText, machine: SimulatedMachine): number {
  const { fixedMs, rowMs, maxTokens = 32 } = machine;
  const all = [...prompt, ...answer];
  const lookup = new PromptLookup();
  let [length, ms] = [prompt.length + 1, 0];
  while (length < all.length) {
    const guess = lookup.propose(all.slice(0, length), Math.max(1, Math.min(maxTokens, all.length - length - 1)));
    const wrong = guess.findIndex((token, i) => token !== all[length + i]);
    const accepted = wrong < 0 ? guess.length : wrong;
    ms += fixedMs + (1 + accepted) * rowMs;
    length += accepted + 1;
  }
  return ((answer.length - 1) * (fixedMs + rowMs)) / ms;
}
