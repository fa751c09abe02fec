import type { CodeBits } from './bit-planes.ts';
import type { TileKind } from './kv-format.ts';
import { encodeByteScaled, type ByteScaled } from './tile-meta.ts';

/** Rows that are quantized with a scale and a zero point each: a channel of K over tokens, a token of V over channels. */
export interface QuantizedRows {
  readonly s: ByteScaled;
  readonly z: ByteScaled;
  /** [numRows, numCols] */
  readonly codes: Uint8Array;
}

/**
 * How few codes are spread over a row: its range is narrowed about its mean, and when codes are chosen, scale and zero point are fitted to them.
 * `unbiased`: the error is not correlated with the values, so that sums over many tokens do not shrink. `geometric`: the variance stays
 * what it was. Least squares, which shrinks, loses more at every width (docs/decisions/0006-few-bits.md).
 */
interface SpreadRule {
  readonly range: number;
  readonly fit: 'unbiased' | 'geometric';
}

const SPREAD_RULES: Readonly<Record<TileKind, Partial<Record<CodeBits, SpreadRule>>>> = {
  k: {
    3: { range: 1, fit: 'geometric' },
    2: { range: 0.9, fit: 'geometric' },
    1: { range: 0.75, fit: 'geometric' },
  },
  v: {
    3: { range: 0.9, fit: 'unbiased' },
    2: { range: 0.75, fit: 'unbiased' },
    1: { range: 0.75, fit: 'unbiased' },
  },
};
/** Where channels take each other's errors, which codes of one bit have no room for. */
const FEEDBACK_RULE: SpreadRule = { range: 1, fit: 'unbiased' };

function ruleOf(kind: TileKind, bits: CodeBits, hasFeedback: boolean): SpreadRule | undefined {
  const rule = SPREAD_RULES[kind][bits];
  return rule && hasFeedback ? FEEDBACK_RULE : rule;
}

/** A fitted scale is at least and at most this much of the one that codes were chosen with. */
const LEAST_FIT = 0.5;
const MOST_FIT = 2.5;

const f32 = Math.fround;

/**
 * Steps 5 to 7 of docs/page-format.md under "Sealing", float32 operation by operation.
 *
 * @param y [numRows, numCols]
 * @param matrix [numRows, numRows], row-major: how much of a row's error the rows before it take; undefined: none
 */
export function quantizeRows(
  kind: TileKind,
  bits: CodeBits,
  y: Float32Array,
  numCols: number,
  matrix?: Float32Array,
): QuantizedRows {
  const feedback = bits === 1 ? undefined : matrix;
  const rule = ruleOf(kind, bits, feedback !== undefined);
  const { lo, hi } = rowRanges(y, numCols, rule?.range);
  const maxCode = 2 ** bits - 1;
  if (rule) {
    const scales = hi.map((value, row) => f32(value - lo[row]) / maxCode);
    const codes = chooseCodes(y, { scales, zeros: lo, maxCode, feedback });
    return { codes, ...fit(rule, y, codes, scales, numCols) };
  }
  const z = encodeByteScaled(lo, 'down');
  const widths = hi.map((value, row) => f32(value - z.values[row]) / maxCode);
  const s = encodeByteScaled(widths, 'up');
  return { s, z, codes: chooseCodes(y, { scales: s.values, zeros: z.values, maxCode, feedback }) };
}

/** Least and greatest of each row, moved towards its mean where `factor` is given. */
function rowRanges(y: Float32Array, numCols: number, factor = 1): { lo: Float32Array; hi: Float32Array } {
  const numRows = y.length / numCols;
  const lo = new Float32Array(numRows);
  const hi = new Float32Array(numRows);
  for (let row = 0; row < numRows; row++) {
    const values = y.subarray(row * numCols, (row + 1) * numCols);
    lo[row] = values.reduce((least, value) => Math.min(least, value), Infinity);
    hi[row] = values.reduce((most, value) => Math.max(most, value), -Infinity);
    if (factor === 1) continue;
    const mean = meanOf(values);
    lo[row] = mean + f32(f32(lo[row] - mean) * f32(factor));
    hi[row] = mean + f32(f32(hi[row] - mean) * f32(factor));
  }
  return { lo, hi };
}

interface CodeChoice {
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
  readonly maxCode: number;
  readonly feedback: Float32Array | undefined;
}

/** Rows from the last to the first: with feedback, each is moved by what the errors of those after it ask for. */
function chooseCodes(y: Float32Array, { scales, zeros, maxCode, feedback }: CodeChoice): Uint8Array {
  const numRows = scales.length;
  const numCols = y.length / numRows;
  const codes = new Uint8Array(y.length);
  const moves = new Float32Array(y.length);
  const errors = new Float32Array(numCols);
  for (let row = numRows - 1; row >= 0; row--) {
    const scale = scales[row];
    const inverse = scale === 0 ? 0 : f32(1 / scale);
    for (let col = 0; col < numCols; col++) {
      const at = row * numCols + col;
      const target = f32(y[at] - moves[at]);
      const code = Math.trunc(f32(f32(f32(target - zeros[row]) * inverse) + 0.5));
      codes[at] = Math.min(Math.max(code, 0), maxCode);
      errors[col] = f32(f32(codes[at] * scale) + zeros[row]) - y[at];
    }
    if (feedback) takeErrors(moves, errors, feedback.subarray(row * numRows, row * numRows + row));
  }
  return codes;
}

/** moves[before] += factor * errors, for every row before. */
function takeErrors(moves: Float32Array, errors: Float32Array, factors: Float32Array): void {
  const numCols = errors.length;
  factors.forEach((factor, before) => {
    for (let col = 0; col < numCols; col++) {
      const at = before * numCols + col;
      moves[at] += f32(factor * errors[col]);
    }
  });
}

function fit(
  rule: SpreadRule,
  y: Float32Array,
  codes: Uint8Array,
  chosen: Float32Array,
  numCols: number,
): { s: ByteScaled; z: ByteScaled } {
  const rows = Array.from(chosen, (scale, row) => {
    const [start, end] = [row * numCols, (row + 1) * numCols];
    const values = y.subarray(start, end);
    const ofRow = Float32Array.from(codes.subarray(start, end));
    return fitRow(rule, values, ofRow, scale);
  });
  const s = encodeByteScaled(
    Float32Array.from(rows, ({ scale }) => scale),
    'nearest',
  );
  const zeros = rows.map(({ mean, meanCode }, row) => mean - f32(s.values[row] * meanCode));
  return { s, z: encodeByteScaled(Float32Array.from(zeros), 'nearest') };
}

function fitRow(
  { fit: kind }: SpreadRule,
  values: Float32Array,
  codes: Float32Array,
  chosen: number,
): { scale: number; mean: number; meanCode: number } {
  const mean = meanOf(values);
  const meanCode = meanOf(codes);
  const dy = values.map((value) => value - mean);
  const dk = codes.map((code) => code - meanCode);
  const yy = sumInLanes(dy.map((value) => value * value));
  const yk = sumInLanes(dy.map((value, i) => value * dk[i]));
  const kk = sumInLanes(dk.map((value) => value * value));
  if (!(yk > 0 && kk > 0)) return { scale: chosen, mean, meanCode };
  const fitted = kind === 'unbiased' ? f32(yy / yk) : f32(Math.sqrt(f32(yy / kk)));
  const scale = Math.min(Math.max(fitted, f32(chosen * LEAST_FIT)), f32(chosen * MOST_FIT));
  return { scale, mean, meanCode };
}

function meanOf(values: Float32Array): number {
  return f32(sumInLanes(values) / values.length);
}

/** Sum in four lanes, value i in lane i mod 4, as a SIMD register adds. */
export function sumInLanes(values: Float32Array): number {
  const lanes = new Float32Array(4);
  values.forEach((value, i) => {
    lanes[i % 4] += value;
  });
  return f32(f32(lanes[0] + lanes[1]) + f32(lanes[2] + lanes[3]));
}
