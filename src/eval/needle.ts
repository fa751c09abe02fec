import type { ModelInfo } from '../engine/types.ts';
import { REFERENCE_KV } from './compare-formats.ts';
import { checkLogProb, EvalEngine, type EvalSetup } from './eval-engine.ts';
import { Haystack } from './haystack.ts';
import { needlePrompts, type NeedleEncoder, type NeedlePrompt } from './needle-prompt.ts';
import { hasValue, needleCells, type NeedleCell, type NeedleScore } from './needle-score.ts';
import { needleTasks, type NeedleVariant } from './needle-task.ts';

export interface NeedleOptions {
  readonly text: string;
  readonly variants: readonly NeedleVariant[];
  /** Tokens of context, ascending. */
  readonly lengths: readonly number[];
  /** Shares of the text before a needle, ascending. */
  readonly depths: readonly number[];
  readonly trials: number;
  readonly seed: number;
}

/** What a format finds. */
export interface FormatNeedles {
  readonly kv: string;
  readonly bitsPerElement: number;
  readonly cells: readonly NeedleCell[];
  readonly scores: readonly NeedleScore[];
}

export interface NeedleEvents {
  readonly onProgress: (text: () => string) => void;
  /** Once, before anything is measured. */
  readonly onLoaded: (info: ModelInfo) => Promise<void>;
  readonly onResult: (result: FormatNeedles) => Promise<void>;
}

interface PlacedPrompt extends NeedlePrompt {
  readonly variant: NeedleVariant;
  readonly length: number;
}

/** Apart from one another for all seeds that somebody is likely to use. */
const SEED_STEP = 0x9e3779b1;

/**
 * Hides facts in a text and asks for them, with each format, one engine after the other; f16 comes first, whether it is asked for or not. The same
 * prompts go to all formats. Pages are kept from question to question: bits do not depend on it.
 *
 * @throws KvantError as loading does, INVALID_OPTION where needles do not fit, ENGINE_FAILED; the signal's reason if it aborts
 */
export async function measureNeedles(
  kvFormats: readonly string[],
  options: NeedleOptions,
  setup: EvalSetup,
  events: NeedleEvents,
): Promise<void> {
  let prompts: readonly PlacedPrompt[] | undefined;
  let reference: readonly NeedleScore[] | undefined;
  for (const kv of [REFERENCE_KV, ...kvFormats.filter((name) => name !== REFERENCE_KV)]) {
    events.onProgress(() => `loading ${kv}`);
    const engine = await EvalEngine.open(kv, setup);
    try {
      prompts ??= allPrompts(options, { ...engine.encoder, hasChatTemplate: engine.info.hasChatTemplate });
      if (!reference) await events.onLoaded(engine.info);
      const scores = await answerAll(engine, prompts, events);
      reference ??= scores;
      const { bitsPerElement } = engine;
      await events.onResult({ kv: engine.kv, bitsPerElement, cells: needleCells(scores, reference), scores });
    } finally {
      await engine.close();
    }
  }
}

function allPrompts(options: NeedleOptions, encoder: NeedleEncoder): PlacedPrompt[] {
  const { text, variants, lengths, depths, trials, seed } = options;
  const haystack = new Haystack(text, (part) => encoder.tokenizer.encode(part).length);
  const prompts: PlacedPrompt[] = [];
  for (const variant of variants) {
    for (const length of lengths) {
      for (let trial = 0; trial < trials; trial++) {
        const trialSeed = (seed + Math.imul(length * trials + trial, SEED_STEP)) >>> 0;
        const place = { haystack, first: trialSeed % haystack.numSentences, length };
        for (const task of needleTasks(variant, depths, trialSeed)) {
          prompts.push(...needlePrompts(task, place, encoder).map((prompt) => ({ ...prompt, variant, length })));
        }
      }
    }
  }
  return prompts;
}

async function answerAll(
  engine: EvalEngine,
  prompts: readonly PlacedPrompt[],
  { onProgress }: NeedleEvents,
): Promise<NeedleScore[]> {
  const scores: NeedleScore[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const { variant, length } = prompt;
    onProgress(() => `${engine.kv}: question ${i + 1} of ${prompts.length}, ${variant} in ${length} tokens`);
    scores.push(...(await answer(engine, prompt)));
  }
  return scores;
}

/** First the right answer's probabilities, then what the model says itself. */
async function answer(engine: EvalEngine, prompt: PlacedPrompt): Promise<NeedleScore[]> {
  const { tokens, numPromptTokens, maxTokens, answers, variant, length } = prompt;
  const logProbs = new Map<number, number>();
  const positions = Array.from({ length: tokens.length - numPromptTokens }, (_, i) => numPromptTokens - 1 + i);
  await engine.run({
    tokens,
    positions,
    keepsPages: true,
    onRow(position, row) {
      const next = position + 1;
      logProbs.set(next, checkLogProb(row[tokens[next]], engine.kv, position));
    },
  });
  const { text } = await engine.run({ tokens: tokens.slice(0, numPromptTokens), maxTokens, keepsPages: true });
  return answers.map(({ depth, value, start, end }) => {
    let logProb = 0;
    for (let token = start; token < end; token++) logProb += logProbs.get(token) ?? 0;
    return {
      variant,
      length,
      depth,
      value,
      answer: text,
      isRight: hasValue(text, value, answers.length === 1),
      logProb,
    };
  });
}
