import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inverse, Matrix } from 'ml-matrix';
import { normalStream } from '../../test/random-data.ts';
import { hadamardFloat64 } from '../quant/hadamard.ts';
import { openTile, sealTile } from '../quant/tile.ts';
import type { TileSpec } from '../quant/tile-spec.ts';
import { balancedTransform, errorFeedback, mixingMatrix } from './balanced-transform.ts';
import { normalMatrix, randomMoments } from './testing/random-matrix.ts';

const SIZES = [16, 48, 64, 80, 96, 128, 256];

function largest(matrix: Matrix): number {
  return matrix.to1DArray().reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function assertNear(actual: Matrix, expected: Matrix, tolerance: number, what: string): void {
  const error = largest(Matrix.sub(actual, expected));
  assert.ok(error <= tolerance, `${what}: off by ${error}`);
}

/** What is off the diagonal, as a part of the largest entry. */
function offDiagonal(matrix: Matrix): number {
  return largest(Matrix.sub(matrix, Matrix.diag(matrix.diagonal()))) / largest(matrix);
}

test('mixing matrices are orthogonal (1e-12), and no entry is above sqrt(2 / size)', () => {
  for (const size of [1, 3, ...SIZES]) {
    const matrix = mixingMatrix(size);
    assertNear(matrix.mmul(matrix.transpose()), Matrix.eye(size), 1e-12, `size ${size}`);
    assert.ok(largest(matrix) <= Math.sqrt(2 / size) + 1e-12, `size ${size}: ${largest(matrix)}`);
  }
});

test('for powers of two the mixing matrix is the Hadamard matrix of the rotation (1e-12)', () => {
  for (const size of [16, 64, 128, 256]) {
    const matrix = mixingMatrix(size);
    for (const column of [0, 1, 5, size - 1]) {
      const unit = new Float64Array(size);
      unit[column] = 1;
      hadamardFloat64(unit, 0, size);
      const error = unit.reduce((most, value, row) => Math.max(most, Math.abs(value - matrix.get(row, column))), 0);
      assert.ok(error < 1e-12, `size ${size}, column ${column}: ${error}`);
    }
  }
});

/** What the damping of 1% makes of moments that have been divided by the mean of their diagonal. */
function damped(moments: Matrix): Matrix {
  return Matrix.div(moments, moments.trace() / moments.rows).add(Matrix.eye(moments.rows).mul(0.01));
}

for (const size of [16, 64, 80, 96]) {
  const spread = randomMoments(size, 1);
  const cost = randomMoments(size, 10);

  test(`heads of ${size}: forward times inverse is the identity (1e-9)`, () => {
    for (const balance of [0.25, 0.5]) {
      const transform = balancedTransform(spread, cost, balance);
      assertNear(transform.forward.mmul(transform.inverse), Matrix.eye(size), 1e-9, `balance ${balance}`);
    }
  });

  test(`heads of ${size}: channels have ${size === 16 || size === 64 ? 'equal variances of 1 (1e-9)' : 'variances of 1 in the mean, and below 3'}`, () => {
    for (const balance of [0.25, 0.5]) {
      const { forward } = balancedTransform(spread, cost, balance);
      const variances = forward.mmul(damped(spread)).mmul(forward.transpose()).diagonal();
      if (size === 16 || size === 64) {
        for (const variance of variances) assert.ok(Math.abs(variance - 1) < 1e-9, `${variance}`);
        continue;
      }
      assert.ok(Math.abs(variances.reduce((sum, variance) => sum + variance / size, 0) - 1) < 1e-9);
      assert.ok(Math.max(...variances) < 3, `${Math.max(...variances)}`);
    }
  });

  test(`heads of ${size}: without the mixing, spread and cost are diagonal (1e-9), and powers b and 1 - b of the same numbers`, () => {
    const mixing = mixingMatrix(size);
    for (const balance of [0.25, 0.5]) {
      const { forward, inverse: backward } = balancedTransform(spread, cost, balance);
      const unmixed = mixing.transpose().mmul(forward);
      const unmixedInverse = backward.mmul(mixing);
      const ofSpread = unmixed.mmul(damped(spread)).mmul(unmixed.transpose());
      const ofCost = unmixedInverse.transpose().mmul(damped(cost)).mmul(unmixedInverse);
      assert.ok(offDiagonal(ofSpread) < 1e-9, `${offDiagonal(ofSpread)}`);
      assert.ok(offDiagonal(ofCost) < 1e-9, `${offDiagonal(ofCost)}`);
      // E^b / factor and E^(1 - b) * factor: the logarithms of both, divided by their powers, differ by one number.
      const costs = ofCost.diagonal();
      const differences = ofSpread
        .diagonal()
        .map((value, i) => Math.log(value) / balance - Math.log(costs[i]) / (1 - balance));
      const range = Math.max(...differences) - Math.min(...differences);
      assert.ok(range < 1e-6, `${range}`);
      assert.ok(Math.max(...costs) / Math.min(...costs) > 2, 'data whose costs are all alike show nothing');
    }
  });
}

test('moments of too few vectors, and of none, still give transforms that can be undone (1e-6)', () => {
  for (const [spread, cost] of [
    [randomMoments(64, 1, 3), randomMoments(64, 2, 5)],
    [Matrix.zeros(64, 64), Matrix.zeros(64, 64)],
    [Matrix.zeros(64, 64), randomMoments(64, 2)],
  ]) {
    const { forward, inverse: backward } = balancedTransform(spread, cost, 0.25);
    assertNear(forward.mmul(backward), Matrix.eye(64), 1e-6, 'forward times inverse');
  }
});

test('a balanced transform costs less than the rotation: errors of equal size in all channels, of channels of one range', () => {
  const [spread, cost] = [randomMoments(64, 1), randomMoments(64, 10)];
  const lossOf = (forward: Matrix): number => {
    const backward = inverse(forward);
    // A range for all channels, so that a channel's errors are as large as the variances' mean.
    return (
      forward.mmul(spread).mmul(forward.transpose()).trace() * backward.transpose().mmul(cost).mmul(backward).trace()
    );
  };
  const ratio = lossOf(balancedTransform(spread, cost, 0.5).forward) / lossOf(mixingMatrix(64));
  assert.ok(ratio < 0.9, `${ratio}`);
});

const IDENTITY = { forward: Matrix.eye(64), inverse: Matrix.eye(64) };

test('error feedback is strictly lower triangular, and with ones on its diagonal decorrelates costs (1e-9)', () => {
  const cost = randomMoments(64, 3);
  for (const damping of [0, 0.1]) {
    const feedback = errorFeedback(cost, IDENTITY, damping);
    for (let row = 0; row < 64; row++) {
      for (let col = row; col < 64; col++) assert.equal(feedback.get(row, col), 0);
    }
    const decorrelate = inverse(Matrix.add(feedback, Matrix.eye(64)));
    const dampedCost = Matrix.add(cost, Matrix.eye(64).mul((damping * cost.trace()) / 64));
    assert.ok(offDiagonal(decorrelate.mmul(dampedCost).mmul(decorrelate.transpose())) < 1e-9);
  }
  assert.ok(largest(errorFeedback(cost, IDENTITY, 10)) < largest(errorFeedback(cost, IDENTITY, 0.1)));
  assertNear(errorFeedback(Matrix.eye(64), IDENTITY, 0.1), Matrix.zeros(64, 64), 1e-12, 'costs that do not correlate');
});

test('error feedback follows the transform: it is that of the costs of what is stored (1e-9)', () => {
  const cost = randomMoments(64, 3);
  const transform = balancedTransform(randomMoments(64, 1), cost, 0.25);
  const ofStored = transform.inverse.transpose().mmul(cost).mmul(transform.inverse);
  assertNear(errorFeedback(cost, transform, 0.1), errorFeedback(ofStored, IDENTITY, 0.1), 1e-9, 'feedback');
});

/** Sum of e' C e over vectors that are rounded to whole numbers, channels from the last to the first. */
function roundingCost(x: Matrix, cost: Matrix, feedback: Matrix): number {
  let total = 0;
  for (const values of x.to2DArray()) {
    const errors = new Array<number>(values.length).fill(0);
    for (let c = values.length - 1; c >= 0; c--) {
      const move = errors.reduce((sum, error, later) => sum + feedback.get(later, c) * error, 0);
      errors[c] = Math.round(values[c] - move) - values[c];
    }
    const e = Matrix.columnVector(errors);
    total += e.transpose().mmul(cost).mmul(e).get(0, 0);
  }
  return total;
}

test('error feedback lowers the cost of rounding to whole numbers below two thirds', () => {
  const cost = randomMoments(64, 3);
  const x = normalMatrix(200, 64, 5).mul(10);
  const without = roundingCost(x, cost, Matrix.zeros(64, 64));
  const ratio = roundingCost(x, cost, errorFeedback(cost, IDENTITY, 0.1)) / without;
  assert.ok(ratio < 2 / 3, `${ratio}`);
});

test('error feedback lowers the cost of a tile of keys at every width that takes it, from 3 bits on below four fifths', () => {
  const cost = randomMoments(64, 3);
  const feedback = Float32Array.from(errorFeedback(cost, IDENTITY, 0.1).to1DArray());
  const normal = normalStream(8);
  const x = new Float32Array(64 * 64).map(() => normal());
  for (const bits of [8, 6, 5, 4, 3, 2] as const) {
    const spec: TileSpec = { kind: 'k', bits, numTokens: 64, headDim: 64 };
    const costOf = (matrix?: Float32Array): number => {
      const decoded = openTile(spec, sealTile(spec, x, matrix));
      const errors = Matrix.from1DArray(
        64,
        64,
        decoded.map((value, i) => value - x[i]),
      );
      return errors.mmul(cost).mmul(errors.transpose()).trace();
    };
    const ratio = costOf(feedback) / costOf();
    assert.ok(ratio < (bits === 2 ? 1 : 0.8), `${bits} bits: ${ratio}`);
  }
});
