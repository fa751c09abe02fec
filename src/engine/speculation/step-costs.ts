/** What a step took. */
export interface ObservedStep {
  /** Rows (tokens), drafts included. */
  readonly numRows: number;
  /** Decodes in it; a step that also computes prompts tells nothing. */
  readonly numSequences: number;
  readonly ms: number;
}

/** A step of r rows takes about `fixedMs + r * rowMs`. */
export interface StepCost {
  readonly fixedMs: number;
  readonly rowMs: number;
}

/** Steps that the estimate looks back on. */
const MAX_STEPS = 96;
/** A step counts by this power of its age, as contexts grow and machines change. */
const WEIGHT_BY_AGE = 0.98;
/** A row's share of a step of one row before anything was measured: between a processor's (.2 to .35) and a graphics card's. */
const FIRST_SHARE = 0.25;
/** That share counts as so many steps with some drafts. */
const NUM_ASSUMED = 2;
const NUM_ASSUMED_ROWS = 5;
/** Of the times that steps with equally many rows take, the line goes through this quantile: what disturbs a step makes it slower. */
const QUANTILE = 0.35;
const NUM_REFITS = 6;
/** The line is fitted again after so many more steps, as a fit takes tens of microseconds. */
const STEPS_PER_FIT = 4;

/**
 * Learns from the steps of a running engine what a row costs: a line through the latest ones. Steps that other programs have disturbed
 * are too slow, often by much, so the line is a low quantile (quantile regression, Koenker and Bassett 1978, by reweighting), which they
 * do not draw away as they would a mean. As long as all steps have equally many rows, a usual share of a row is assumed.
 */
export class StepCosts {
  readonly #steps: ObservedStep[] = [];
  #cost: StepCost | undefined;
  #numUnseen = 0;

  /** @throws RangeError if a number is not above 0 */
  observe(step: ObservedStep): void {
    if (!(step.numRows > 0 && step.ms > 0)) throw new RangeError(`a step of ${step.numRows} rows in ${step.ms} ms`);
    this.#steps.push(step);
    if (this.#steps.length > MAX_STEPS) this.#steps.shift();
    this.#numUnseen++;
  }

  /** The estimate so far; in units of a step of one row while there is none. */
  get cost(): StepCost {
    if (this.#steps.length === 0) return { fixedMs: 1 - FIRST_SHARE, rowMs: FIRST_SHARE };
    if (this.#cost && this.#numUnseen < Math.min(STEPS_PER_FIT, this.#steps.length / 4)) return this.#cost;
    this.#numUnseen = 0;
    return (this.#cost = this.#fit());
  }

  #fit(): StepCost {
    const ages = this.#steps.map((_, i) => WEIGHT_BY_AGE ** (this.#steps.length - 1 - i));
    let line = assumedLine(this.#steps, ages);
    const assumed = { numRows: NUM_ASSUMED_ROWS, ms: line.fixedMs + NUM_ASSUMED_ROWS * line.rowMs };
    const points = [...this.#steps, assumed];
    const weights = [...ages, NUM_ASSUMED];
    for (let i = 0; i < NUM_REFITS; i++) {
      line = fitLine(
        points,
        points.map((point, j) => weights[j] * quantileWeight(point, line)),
      );
    }
    return line;
  }
}

type Point = Pick<ObservedStep, 'numRows' | 'ms'>;

/** A line with the assumed share, through the weighted quantile of all steps. */
function assumedLine(steps: readonly Point[], weights: readonly number[]): StepCost {
  const scaled = steps.map(({ numRows, ms }, i) => ({
    ms: ms / (1 - FIRST_SHARE + numRows * FIRST_SHARE),
    weight: weights[i],
  }));
  scaled.sort((a, b) => a.ms - b.ms);
  let left = weights.reduce((sum, weight) => sum + weight, 0) * QUANTILE;
  const { ms } = scaled.find(({ weight }) => (left -= weight) <= 0) ?? scaled[0];
  return { fixedMs: ms * (1 - FIRST_SHARE), rowMs: ms * FIRST_SHARE };
}

/** Makes a sum of squares one of absolute differences, in which points above the line count less. */
function quantileWeight({ numRows, ms }: Point, { fixedMs, rowMs }: StepCost): number {
  const difference = ms / (fixedMs + numRows * rowMs) - 1;
  return (difference > 0 ? QUANTILE : 1 - QUANTILE) / Math.max(Math.abs(difference), 0.01);
}

/** Weighted least squares, with some of the time for rows and some for all of them. */
function fitLine(points: readonly Point[], weights: readonly number[]): StepCost {
  let [total, sumRows, sumMs, sumSquares, sumProducts] = [0, 0, 0, 0, 0];
  for (let i = 0; i < points.length; i++) {
    const { numRows, ms } = points[i];
    const weight = weights[i];
    total += weight;
    sumRows += weight * numRows;
    sumMs += weight * ms;
    sumSquares += weight * numRows * numRows;
    sumProducts += weight * numRows * ms;
  }
  const [rows, ms] = [sumRows / total, sumMs / total];
  const variance = sumSquares / total - rows * rows;
  const slope = variance > 0 ? (sumProducts / total - rows * ms) / variance : 0;
  const rowMs = Math.min(Math.max(slope, 0.001 * ms), (0.999 * ms) / rows);
  return { fixedMs: ms - rows * rowMs, rowMs };
}
