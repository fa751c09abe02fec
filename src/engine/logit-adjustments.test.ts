import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SAMPLING_DEFAULTS } from './defaults.ts';
import { adjustLogits } from './logit-adjustments.ts';

const LOGITS = Float32Array.of(2, -1, 0.5, 4);

test('without anything to change the logits are the same array', () => {
  assert.equal(adjustLogits(LOGITS, [0, 1, 1], 1, SAMPLING_DEFAULTS), LOGITS);
});

test('a bias is added to the logits of its token alone, and the given logits stay as they are', () => {
  const adjusted = adjustLogits(LOGITS, [], 0, { ...SAMPLING_DEFAULTS, logitBias: { 1: 100, 3: -0.5 } });
  assert.deepEqual([...adjusted], [2, 99, 0.5, 3.5]);
  assert.deepEqual([...LOGITS], [2, -1, 0.5, 4]);
});

test('the frequency penalty counts how often the answer has a token, the presence penalty whether it does; the prompt does not count', () => {
  const tokens = [3, 3, 0, 0, 1];
  const frequency = adjustLogits(LOGITS, tokens, 2, { ...SAMPLING_DEFAULTS, frequencyPenalty: 0.5 });
  assert.deepEqual([...frequency], [1, -1.5, 0.5, 4]);
  const presence = adjustLogits(LOGITS, tokens, 2, { ...SAMPLING_DEFAULTS, presencePenalty: -1 });
  assert.deepEqual([...presence], [3, 0, 0.5, 4]);
  const both = adjustLogits(LOGITS, tokens, 2, { ...SAMPLING_DEFAULTS, frequencyPenalty: 0.5, presencePenalty: 1 });
  assert.deepEqual([...both], [0, -2.5, 0.5, 4]);
});

test('the repetition penalty comes last, takes the prompt in, and divides once however often a token came', () => {
  const options = { ...SAMPLING_DEFAULTS, logitBias: { 0: 2 }, presencePenalty: 1, repetitionPenalty: 2 };
  assert.deepEqual([...adjustLogits(LOGITS, [3, 0, 0, 1, 0], 1, options)], [(2 + 2 - 1) / 2, (-1 - 1) * 2, 0.5, 4 / 2]);
});
