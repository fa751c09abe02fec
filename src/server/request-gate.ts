import { ApiError, shuttingDown } from './api-error.ts';

export interface GateOptions {
  /** Answers that are generated at the same time. */
  readonly maxSequences: number;
  /** Answers that may wait for their turn. */
  readonly maxQueue: number;
  /** Answers of one tenant that may wait. */
  readonly maxQueuePerTenant: number;
}

/** How soon a client that was turned away may try again. A longer time would tell one tenant what others ask for. */
const RETRY_AFTER_SECONDS = 1;

/** Lets requests in as far as there is room for them to run or to wait. */
export class RequestGate {
  readonly #options: GateOptions;
  readonly #inside = new Map<string, number>();
  #numInside = 0;
  #isClosed = false;
  /** Called whenever somebody has left. */
  #onLeave: () => void = () => undefined;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Answers that run or wait. */
  get numInside(): number {
    return this.#numInside;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** From now on nobody gets in. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Lets a request in.
   *
   * @param numAnswers that it wants
   * @param param the field that says how many
   * @returns to be called when the request has ended; further calls do nothing
   * @throws ApiError 429 when there is no room, 503 when the gate is closed, 400 for more answers than there will ever be room for
   */
  enter(tenant: string, numAnswers: number, param: string): () => void {
    if (this.#isClosed) throw shuttingDown();
    const { maxSequences, maxQueue, maxQueuePerTenant } = this.#options;
    const room = maxSequences + Math.min(maxQueue, maxQueuePerTenant);
    if (numAnswers > room) {
      const message = `${numAnswers} answers are more than this server takes at a time: ask for at most ${room}`;
      throw new ApiError(400, message, { param, code: 'invalid_value' });
    }
    const ownBefore = this.#inside.get(tenant) ?? 0;
    if (this.#numInside + numAnswers > maxSequences + maxQueue || ownBefore + numAnswers > room) throw isFull();
    this.#change(tenant, numAnswers);
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#change(tenant, -numAnswers);
      this.#onLeave();
    };
  }

  /** Resolves when nobody is inside. */
  async empty(): Promise<void> {
    while (this.#numInside > 0) await new Promise<void>((resolve) => (this.#onLeave = resolve));
  }

  #change(tenant: string, by: number): void {
    const now = (this.#inside.get(tenant) ?? 0) + by;
    if (now === 0) this.#inside.delete(tenant);
    else this.#inside.set(tenant, now);
    this.#numInside += by;
  }
}

function isFull(): ApiError {
  const message = 'the server is busy and its queue is full: try again later';
  const headers = { 'retry-after': String(RETRY_AFTER_SECONDS) };
  return new ApiError(429, message, { code: 'queue_full', headers });
}
