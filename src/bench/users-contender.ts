import type { Model } from '../engine/types.ts';
import type { Contender } from './contender.ts';
import type { UsersRun, UsersTask } from './users-task.ts';

/** Kvant with many users at once. Closing it closes the model. */
export class UsersContender implements Contender<UsersTask, UsersRun> {
  readonly model: Model;

  /** @param model loaded for as many sequences as there are users */
  constructor(model: Model) {
    this.model = model;
  }

  get label(): string {
    return `kvant ${this.model.info.kvFormat}`;
  }

  async measure({ prefix, prompts, numNewTokens }: UsersTask, signal: AbortSignal): Promise<UsersRun> {
    signal.throwIfAborted();
    const requests = prompts.map((prompt) => {
      return {
        tokens: [...prefix, ...prompt],
        maxTokens: numNewTokens,
        ignoreEnd: true,
        speculate: 'off',
        signal,
      } as const;
    });
    const startMs = performance.now();
    const results = await Promise.all(requests.map((request) => this.model.generate(request).result));
    const wallMs = performance.now() - startMs;
    signal.throwIfAborted();
    const users = results.map(({ timings, completionTokens }) => {
      return { ttftMs: timings.ttftMs, numNewTokens: completionTokens };
    });
    return { wallMs, users };
  }

  async close(): Promise<void> {
    await this.model.close();
  }
}
