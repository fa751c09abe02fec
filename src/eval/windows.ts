import { KvantError } from '../errors.ts';

export interface WindowOptions {
  /** Tokens of a window. */
  readonly ctx: number;
  /** Windows wanted; where absent, as many as there are, up to `mostByDefault`. */
  readonly windows: number | undefined;
  readonly mostByDefault: number;
  /** The model's BOS token, where its prompts begin with one: it takes the place of each window's first token, as in llama.cpp's tool. */
  readonly bosId?: number | undefined;
}

/**
 * Consecutive windows from the start of a text.
 *
 * @throws KvantError INVALID_OPTION if the text is shorter than what is wanted
 */
export function cutWindows(tokens: readonly number[], options: WindowOptions): number[][] {
  const { ctx, windows, mostByDefault, bosId } = options;
  const all = bosId === undefined ? tokens : [bosId, ...tokens];
  const numThere = Math.floor(all.length / ctx);
  const wanted = windows ?? Math.min(mostByDefault, Math.max(1, numThere));
  if (wanted > numThere) {
    const has = `the text has ${count(all.length)} tokens, room for ${count(numThere)} windows of ${count(ctx)}`;
    const fix = numThere > 0 ? 'use fewer windows, or a longer text' : 'use a longer text, or a smaller ctx';
    throw new KvantError('INVALID_OPTION', `${has}, fewer than ${count(wanted)}: ${fix}`);
  }
  return Array.from({ length: wanted }, (_, i) => {
    const window = all.slice(i * ctx, (i + 1) * ctx);
    if (bosId !== undefined) window[0] = bosId;
    return window;
  });
}

/**
 * Positions that are measured: from the middle of the window on, so that each has a long context, without the last one, whose next token is in
 * no window (as llama.cpp's perplexity tool).
 */
export function measuredPositions(windowLength: number): number[] {
  const middle = Math.floor(windowLength / 2);
  return Array.from({ length: Math.max(0, windowLength - 1 - middle) }, (_, i) => middle + i);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
