import { signal } from '@preact/signals';

/** How long a sample of the speed takes. */
const SAMPLE_MS = 500;
const NUM_SAMPLES = 120;

/** Tokens per second as they come in, over the last minute of answering: pieces of text, which are a token each unless guesses came true. */
export class SpeedHistory {
  /** The oldest first. */
  readonly samples = signal<readonly number[]>([]);
  #arrived = 0;
  #answers = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** An answer begins. */
  start(): void {
    this.#answers++;
    if (this.#timer !== undefined) return;
    let since = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      const speed = (this.#arrived * 1000) / (now - since);
      since = now;
      this.#arrived = 0;
      this.samples.value = [...this.samples.value, speed].slice(-NUM_SAMPLES);
    }, SAMPLE_MS);
  }

  count(): void {
    this.#arrived++;
  }

  /** An answer ends; with the last one the clock stops. */
  end(): void {
    this.#answers--;
    if (this.#answers > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#arrived = 0;
  }
}
