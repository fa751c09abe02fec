import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerText } from './answer-text.ts';
import { END_ID, LETTER_A_ID, loadTinyEngine } from './testing/tiny-engine.ts';

test("a token that ends the model's turn ends the answer, unless it is to be ignored", async () => {
  const { tokenizer } = await loadTinyEngine();
  const ended = new AnswerText(tokenizer, []);
  const going = new AnswerText(tokenizer, [], true);
  for (const answer of [ended, going]) {
    assert.equal(answer.push(LETTER_A_ID)?.text, 'a');
    answer.push(END_ID);
  }
  assert.deepEqual([ended.hasStopped, going.hasStopped], [true, false]);
  assert.equal(going.push(LETTER_A_ID + 1)?.text, 'b');
  assert.equal(going.text, 'ab');
});

test('stop strings end an answer that ignores ends', async () => {
  const { tokenizer } = await loadTinyEngine();
  const answer = new AnswerText(tokenizer, ['b'], true);
  answer.push(LETTER_A_ID);
  answer.push(LETTER_A_ID + 1);
  assert.deepEqual([answer.hasStopped, answer.text], [true, 'a']);
});
