import type { Model } from '../engine/types.ts';
import type { Contender, Speed, SpeedTask } from './contender.ts';

const MS_PER_SECOND = 1000;

/** Kvant itself. Closing it closes the model. */
export class ModelContender implements Contender {
  readonly model: Model;

  constructor(model: Model) {
    this.model = model;
  }

  get label(): string {
    return `kvant ${this.model.info.kvFormat}`;
  }

  async measure({ tokens, numNewTokens }: SpeedTask, signal: AbortSignal): Promise<Speed> {
    // A prompt that was measured before would be found in the cache; drafts would measure the text.
    const request = { tokens, maxTokens: numNewTokens, reusePrefix: false, speculate: 'off', signal } as const;
    const { kv, timings, completionTokens } = await this.model.generate(request).result;
    signal.throwIfAborted();
    const prefillTps = (tokens.length * MS_PER_SECOND) / timings.ttftMs;
    return { prefillTps, decodeTps: timings.decodeTps, numNewTokens: completionTokens, kv };
  }

  async close(): Promise<void> {
    await this.model.close();
  }
}
