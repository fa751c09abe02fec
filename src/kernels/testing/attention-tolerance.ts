import assert from 'node:assert/strict';
import type { TileBits } from '../../quant/kv-format.ts';
import { largestMagnitude } from './assert-within.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { AttentionBench, type AttentionCase, type QueryRun } from './attention-bench.ts';

/** Bounds on errors, as parts of the largest value in the pages: of any output, and of all their root mean square. */
export interface Tolerance {
  readonly most: number;
  readonly rms: number;
}

/** About twice what is measured; queries and softmax weights have 14 bits over codes of 8, and 8 bits over codes of fewer. */
const TOLERANCES: Readonly<Record<TileBits, Tolerance>> = {
  16: { most: 4e-6, rms: 2e-7 },
  8: { most: 5e-4, rms: 2e-5 },
  6: { most: 3e-2, rms: 1.2e-3 },
  5: { most: 3e-2, rms: 1.2e-3 },
  4: { most: 3e-2, rms: 1.2e-3 },
  3: { most: 3e-2, rms: 1.4e-3 },
  2: { most: 3e-2, rms: 2e-3 },
  1: { most: 3e-2, rms: 2e-3 },
};
/** Channels of keys that are 40 times as large make scores that are, and the errors of scores with them. */
const OUTLIER_FACTOR = 3;

export function toleranceOf({ format }: KernelsConfig, data = 'Gaussian'): Tolerance {
  const { most, rms } = TOLERANCES[Math.min(format.k.bits, format.v.bits) as TileBits];
  const factor = data === 'outlier' && format.k.bits < 16 ? OUTLIER_FACTOR : 1;
  return { most: factor * most, rms: factor * rms };
}

export function toleranceTitle({ most, rms }: Tolerance): string {
  return `error < ${most.toExponential()} of the largest value, RMS < ${rms.toExponential()}`;
}

export async function attendAll(kernels: Kernels, attention: AttentionCase): Promise<Float32Array[]> {
  return (await AttentionBench.load(kernels, attention)).runAll();
}

export function assertClose(
  actual: readonly Float32Array[],
  expected: readonly Float32Array[],
  largestValue: number,
  { most, rms }: Tolerance,
  where: string,
): void {
  const errors = actual.map((row, i) => row.map((value, c) => value - expected[i][c]));
  errors.forEach((row, i) => {
    const error = largestMagnitude(row);
    assert.ok(error <= most * largestValue, `${where}, row ${i}: off by ${error} where values go to ${largestValue}`);
  });
  const numValues = errors.length * errors[0].length;
  const squares = errors.reduce((sum, row) => row.reduce((total, error) => total + error * error, sum), 0);
  const found = Math.sqrt(squares / numValues);
  assert.ok(found <= rms * largestValue, `${where}: root mean square ${found} where values go to ${largestValue}`);
}

/** Rows of decode at the start and the end of an open page, and runs of prefill, one of them in the sinks if there are any. */
export function queryRuns({ format }: KernelsConfig, sealedCounts: readonly number[]): QueryRun[] {
  const decode = sealedCounts.flatMap((numSealed) =>
    [0, 63].map((firstIndex) => ({ numSealed, firstIndex, numRows: 1 })),
  );
  const start = format.numSinkTokens === 0 ? 0 : -format.numSinkTokens;
  return [
    ...decode,
    { numSealed: 2, firstIndex: 10, numRows: 3 },
    { numSealed: 9, firstIndex: 41, numRows: 18 },
    { numSealed: 0, firstIndex: start, numRows: 7 },
  ];
}
