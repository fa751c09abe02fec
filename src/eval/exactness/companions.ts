import type { EngineRequest } from '../../engine/request.ts';
import type { ExactEngine } from './exact-engine.ts';
import { SAMPLED, type ExactText } from './exact-text.ts';

const MAX_TOKENS = 40;
/** Lengths of their prompts, in turn: they end in all places of a page. */
const LENGTHS = [3, 90, 41, 66, 17, 5];

/**
 * Keeps other requests under way while something runs: each of them is followed by the next, of another prompt, until that has ended.
 *
 * @param companions what each of them asks for beside its prompt
 */
export async function besideOthers(
  engine: ExactEngine,
  text: ExactText,
  companions: readonly Partial<EngineRequest>[],
  use: () => Promise<void>,
): Promise<void> {
  const end = new AbortController();
  const others = companions.map((request, index) => new Companion(engine, text, index, request));
  const running = others.map((companion) => companion.run(end.signal));
  try {
    // One that fails to start is not waited for.
    await Promise.race([Promise.all(others.map(({ started }) => started)), Promise.all(running)]);
    await Promise.race([use(), ...running.map(never)]);
  } finally {
    end.abort();
    await Promise.all(running);
  }
}

/** Passes on a failure only. */
async function never(running: Promise<void>): Promise<never> {
  await running;
  return new Promise(() => undefined);
}

class Companion {
  /** Resolves when the first of its requests has started. */
  readonly started: Promise<void>;
  readonly #engine: ExactEngine;
  readonly #text: ExactText;
  readonly #index: number;
  readonly #request: Partial<EngineRequest>;
  readonly #settle = Promise.withResolvers<void>();

  constructor(engine: ExactEngine, text: ExactText, index: number, request: Partial<EngineRequest>) {
    this.#engine = engine;
    this.#text = text;
    this.#index = index;
    this.#request = request;
    this.started = this.#settle.promise;
  }

  async run(end: AbortSignal): Promise<void> {
    for (let turn = 0; !end.aborted; turn++) {
      try {
        await this.#engine.run(this.#turn(turn), { onStart: () => this.#settle.resolve() }, end);
      } catch (error) {
        if (!end.aborted) throw error;
      }
    }
  }

  #turn(turn: number): Partial<EngineRequest> & Pick<EngineRequest, 'promptTokens'> {
    const index = this.#index + 31 * turn;
    const promptTokens = this.#text.other(index, LENGTHS[index % LENGTHS.length]);
    return { promptTokens, sampling: { ...SAMPLED, seed: index }, maxTokens: MAX_TOKENS, ...this.#request };
  }
}
