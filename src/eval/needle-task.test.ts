import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Haystack, sentencesOf } from './haystack.ts';
import { hasValue, needleCells, type NeedleScore } from './needle-score.ts';
import { NEEDLE_VARIANTS, needleTasks } from './needle-task.ts';

const DEPTHS = [0, 0.5, 1];

describe('needleTasks', () => {
  it('asks for each needle with its own value', () => {
    for (const variant of NEEDLE_VARIANTS) {
      const tasks = needleTasks(variant, DEPTHS, 7);
      const answers = tasks.flatMap(({ questions }) => questions.flatMap((question) => question.answers));
      assert.deepEqual(answers.map(({ depth }) => depth).sort(), DEPTHS, variant);
      assert.equal(new Set(answers.map(({ value }) => value)).size, DEPTHS.length);
      for (const { needles, questions } of tasks) {
        for (const { answers: right, question } of questions) {
          for (const { depth, value } of right) {
            const needle = needles.find((other) => other.sentence.includes(value));
            assert.equal(needle?.depth, depth);
            const key = /the (\w+ \w+)/.exec(needle.sentence)?.[1] ?? 'none';
            assert.ok(question.includes(key), `${question}: ${needle.sentence}`);
          }
        }
      }
    }
  });

  it('hides keys that are alike, a key with several values, or one needle at a time', () => {
    const [multiKey] = needleTasks('multi-key', DEPTHS, 7);
    const colors = multiKey.needles.map(({ sentence }) => sentence.split(' ')[5]);
    assert.equal(new Set(colors).size, 1);
    assert.equal(multiKey.questions.length, 3);
    const [multiValue] = needleTasks('multi-value', DEPTHS, 7);
    assert.equal(multiValue.questions[0].answers.length, 3);
    assert.deepEqual(
      needleTasks('single', DEPTHS, 7).map(({ needles }) => needles.map(({ depth }) => depth)),
      [[1], [0.5], [0]],
    );
  });

  it('gives equal tasks for equal seeds, and others for others; also for very many depths', () => {
    for (const variant of NEEDLE_VARIANTS) {
      assert.deepEqual(needleTasks(variant, DEPTHS, 7), needleTasks(variant, DEPTHS, 7));
      assert.notDeepEqual(needleTasks(variant, DEPTHS, 7), needleTasks(variant, DEPTHS, 8));
      const many = Array.from({ length: 100 }, (_, i) => i / 99);
      assert.equal(needleTasks(variant, many, 1).flatMap(({ questions }) => questions).length > 0, true);
    }
  });
});

describe('Haystack', () => {
  const haystack = new Haystack('One two.  Three\nfour five! "Six?" Seven', (text) => text.trim().split(' ').length);

  it('knows sentences', () => {
    assert.deepEqual(sentencesOf('One two.  Three\nfour five! "Six?" Seven'), [
      'One two.',
      'Three four five!',
      '"Six?"',
      'Seven',
    ]);
    assert.deepEqual(
      sentencesOf('word '.repeat(90)).map((part) => part.split(' ').length),
      [40, 40, 10],
    );
    assert.deepEqual(sentencesOf(' \n'), []);
  });

  it('puts needles after their share of the sentences, and begins again after the last', () => {
    const needles = [0, 0.5, 1].map((depth, i) => ({ depth, sentence: `N${i}.` }));
    assert.equal(haystack.text(2, 4, needles), 'N0. "Six?" Seven N1. One two. Three four five! N2.');
    assert.equal(haystack.text(0, 0, needles), 'N0. N1. N2.');
  });

  it('counts what fits', () => {
    assert.deepEqual(
      [0, 1, 2, 4, 5, 7, 9].map((numTokens) => haystack.numFitting(0, numTokens)),
      [0, 0, 1, 1, 2, 4, 5],
    );
    assert.equal(haystack.numFitting(0, -5), 0);
  });

  it('refuses a text without a sentence', () => {
    assert.throws(() => new Haystack(' ', () => 1), { code: 'INVALID_OPTION', message: /no sentence/ });
  });
});

describe('scores', () => {
  it('take a value as it is only, and one alone at the beginning only', () => {
    assert.equal(hasValue(' 12345.', '12345', true), true);
    assert.equal(hasValue(' 123456', '12345', true), false);
    assert.equal(hasValue(' 1 or 12345', '12345', true), false);
    assert.equal(hasValue(' 1, 12345 and 6', '12345', false), true);
    assert.equal(hasValue(' 912345', '12345', false), false);
  });

  it('are put together by variant, length and depth, beside those of f16', () => {
    const score = (depth: number, isRight: boolean, logProb: number): NeedleScore => {
      return { variant: 'single', length: 64, depth, value: '1', answer: '', isRight, logProb };
    };
    const cells = needleCells(
      [score(1, true, -1), score(0, false, -3), score(1, false, -2)],
      [score(1, true, -0.5), score(0, true, -4), score(1, true, -1)],
    );
    const place = { variant: 'single', length: 64 };
    assert.deepEqual(cells, [
      { ...place, depth: 1, numTrials: 2, numRight: 1, logProb: -1.5, logProbChange: -0.75 },
      { ...place, depth: 0, numTrials: 1, numRight: 0, logProb: -3, logProbChange: 1 },
    ]);
  });
});
