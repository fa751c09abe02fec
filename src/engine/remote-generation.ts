import type { Call } from './engine-client.ts';
import type { Generation, GenerateResult, TextChunk } from './types.ts';

/**
 * A generation whose chunks come from elsewhere. It may be iterated, awaited, both or neither; every iteration begins
 * with the first chunk, and leaving one early aborts the generation.
 */
export class RemoteGeneration implements Generation {
  readonly result: Promise<GenerateResult>;
  readonly #chunks: TextChunk[] = [];
  readonly #abort: () => void;
  #hasEnded = false;
  /** Resolved and replaced whenever there is more to see. */
  #change = Promise.withResolvers<void>();

  /** @param start begins the generation; chunks that it hands over are queued */
  constructor(start: (onChunk: (chunk: TextChunk) => void) => Call<'generate'>) {
    const call = start((chunk) => {
      this.#chunks.push(chunk);
      this.#notify();
    });
    this.#abort = call.abort;
    this.result = call.result;
    const end = (): void => {
      this.#hasEnded = true;
      this.#notify();
    };
    // Handled here for those who only iterate, to whom the error comes that way.
    this.result.then(end, end);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TextChunk, void, undefined> {
    let next = 0;
    try {
      for (;;) {
        if (next < this.#chunks.length) yield this.#chunks[next++];
        else if (this.#hasEnded) break;
        else await this.#change.promise;
      }
      await this.result;
    } finally {
      if (!this.#hasEnded) this.#abort();
    }
  }

  #notify(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
