import { KvantError } from '../errors.ts';
import type { GenerateOptions } from '../engine/types.ts';
import type { LogitsFile } from './logits-file.ts';

/** Puts the log-probabilities of a generation into a file; stops the generation when the file cannot take them. */
export class LogitsRecorder {
  readonly #file: LogitsFile;
  readonly #positions: readonly number[];
  readonly #failed = new AbortController();
  #failure: Error | undefined;

  /** @param positions prompt positions, ascending: the rows of the file */
  constructor(file: LogitsFile, positions: readonly number[]) {
    this.#file = file;
    this.#positions = positions;
  }

  /** Aborts when a row could not be written. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** What `generate` needs to be told. */
  get options(): Required<Pick<GenerateOptions, 'logProbsAt' | 'onLogProbs'>> {
    return { logProbsAt: this.#positions, onLogProbs: (_position, logProbs) => this.#write(logProbs) };
  }

  /**
   * Completes the file when the generation has ended.
   *
   * @param aborted whether the user stopped the generation: then rows may be missing, and no file is left
   * @throws KvantError FILE_ERROR if a row could not be written, ENGINE_FAILED if rows are missing
   */
  async finish(aborted: boolean): Promise<void> {
    if (this.#failure) throw this.#failure;
    const missing = this.#positions.length - this.#file.numRows;
    if (missing === 0) return this.#file.commit();
    if (aborted) return this.#file.discard();
    const expected = `${this.#positions.length} rows of log-probabilities`;
    throw new KvantError('ENGINE_FAILED', `the engine gave ${this.#file.numRows} of ${expected}: no file is left`);
  }

  #write(logProbs: Float32Array): void {
    if (this.#failure) return;
    try {
      this.#file.writeRow(logProbs);
    } catch (error) {
      // It would be lost inside the engine that calls this.
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#failed.abort();
    }
  }
}
