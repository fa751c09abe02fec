import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextSentences } from './announcement.ts';

describe('nextSentences', () => {
  it('waits for the end of a sentence', () => {
    assert.deepEqual(nextSentences('The sky is', 0), { sentences: '', told: 0 });
    assert.deepEqual(nextSentences('The sky is blue. It', 0), { sentences: 'The sky is blue.', told: 17 });
  });

  it('tells each sentence once, however the text grows', () => {
    const text = 'One. "Two!" Three?\nFour: five; 3.5 is a number. Six';
    const heard: string[] = [];
    for (let [length, told] = [0, 0]; length <= text.length; length++) {
      const next = nextSentences(text.slice(0, length), told);
      if (next.sentences) heard.push(next.sentences);
      told = next.told;
    }
    assert.deepEqual(heard, ['One.', '"Two!"', 'Three?', 'Four:', 'five;', '3.5 is a number.']);
  });
});
