import assert from 'node:assert/strict';
import type { EngineRequest, RequestEvents } from '../request.ts';
import type { GenerateResult } from '../types.ts';
import type { ExpectedAnswer } from './expected-answer.ts';

/** What a request told on its way. */
export class RecordedEvents implements RequestEvents {
  text = '';
  readonly logProbs = new Map<number, Float32Array>();
  #numStarts = 0;
  #numComputed = 0;

  onStart({ cachedTokens, promptTokens }: { readonly cachedTokens: number; readonly promptTokens: number }): void {
    assert.equal(++this.#numStarts, 1, 'a request starts once');
    assert.ok(cachedTokens < promptTokens, 'nothing of the prompt is computed');
  }

  onChunk({ text }: { readonly text: string }): void {
    this.text += text;
  }

  onLogProbs(position: number, logProbs: Float32Array): void {
    assert.ok(!this.logProbs.has(position), `log-probabilities of position ${position} came twice`);
    this.logProbs.set(position, logProbs);
  }

  onPrefillProgress({ computedTokens, totalTokens }: { computedTokens: number; totalTokens: number }): void {
    assert.ok(computedTokens > this.#numComputed && computedTokens <= totalTokens, 'progress goes backwards');
    this.#numComputed = computedTokens;
  }

  /** @param result undefined if the request failed */
  check({ promptTokens }: EngineRequest, expected: ExpectedAnswer, result: GenerateResult | undefined): void {
    for (const [position, logProbs] of this.logProbs) {
      assert.deepEqual(logProbs, expected.logProbs.get(position), `log-probabilities of position ${position}`);
    }
    if (!result || result.finishReason === 'aborted') return;
    assert.equal(this.text, result.text, 'chunks and text');
    assert.equal(this.#numComputed, promptTokens.length);
    assert.deepEqual([...this.logProbs.keys()], [...expected.logProbs.keys()], 'positions of log-probabilities');
  }
}
