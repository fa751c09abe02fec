import { signal } from '@preact/signals';
import type { ApiClient } from '../api/api-client.ts';
import { ApiError } from '../api/api-error.ts';
import type { CacheStatus } from '../api/cache-status.ts';

/** Time between two looks: while something is answered, while nothing is, and after the server did not answer. */
const BUSY_MS = 400;
const IDLE_MS = 1000;
const PROBLEM_MS = 4000;

/** The cache as the server last told it; it is asked as long as the page is seen. */
export class CacheWatch {
  readonly status = signal<CacheStatus | undefined>(undefined);
  readonly problem = signal<string | undefined>(undefined);
  readonly #api: ApiClient;
  readonly #isBusy: () => boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking = false;

  constructor(api: ApiClient, isBusy: () => boolean) {
    this.#api = api;
    this.#isBusy = isBusy;
  }

  start(): void {
    document.addEventListener('visibilitychange', () => void this.look());
    void this.look();
  }

  /** Asks now, and then again and again. */
  async look(): Promise<void> {
    clearTimeout(this.#timer);
    if (document.hidden || this.#asking) return;
    this.#asking = true;
    try {
      this.status.value = await this.#api.json<CacheStatus>('v1/cache', { isPoll: true });
      this.problem.value = undefined;
    } catch (error) {
      this.problem.value = error instanceof ApiError ? error.message : String(error);
    }
    this.#asking = false;
    this.#timer = setTimeout(() => void this.look(), this.#pauseMs());
  }

  #pauseMs(): number {
    if (this.problem.value !== undefined) return PROBLEM_MS;
    return this.#isBusy() ? BUSY_MS : IDLE_MS;
  }
}
