import { styleText } from 'node:util';
import type { Generation, GenerateResult, ModelInfo } from '../engine/types.ts';
import type { CliContext, OutputStream } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { DEFAULT_MAX_TOKENS } from './flags.ts';
import { formatCount } from './format.ts';
import type { Output } from './output.ts';
import type { ProgressLine } from './progress-line.ts';
import { summaryLine } from './summary-line.ts';

/**
 * Writes an answer as it comes, and a line break after it.
 *
 * @param output undefined where the text is not wanted
 * @throws what the generation or the output throws
 */
export async function streamAnswer(
  generation: Generation,
  output: Output | undefined,
  prefill: ProgressLine,
): Promise<GenerateResult> {
  try {
    const [, result] = await Promise.all([copyText(generation, output, prefill), generation.result]);
    return result;
  } finally {
    prefill.clear();
  }
}

async function copyText(generation: Generation, output: Output | undefined, prefill: ProgressLine): Promise<void> {
  let last = '';
  for await (const { text } of generation) {
    prefill.clear();
    await output?.write(text);
    last = text || last;
  }
  if (last !== '' && !last.endsWith('\n')) await output?.write('\n');
}

/** Says how far the prompt is computed. */
export function showPrefill(line: ProgressLine): (progress: { computedTokens: number; totalTokens: number }) => void {
  return ({ computedTokens, totalTokens }) => {
    const percent = Math.floor((100 * computedTokens) / totalTokens);
    line.show(() => `reading the prompt: ${percent}% of ${formatCount(totalTokens)} tokens`);
  };
}

/** Why an answer is cut, where the user did not ask for that, and what helps. */
export function cutHint({ finishReason }: GenerateResult, options: CliOptions, { ctx }: ModelInfo): string | undefined {
  if (finishReason === 'context') return `the context of ${formatCount(ctx)} tokens is full; --ctx makes it larger`;
  if (finishReason !== 'length' || options.maxTokens !== undefined) return undefined;
  return `the answer is cut after ${formatCount(DEFAULT_MAX_TOKENS)} tokens; --max-tokens allows more`;
}

/** The summary of an answer, with a hint before it if there is one. */
export function writeSummary(
  stderr: OutputStream,
  result: GenerateResult,
  info: ModelInfo,
  hint: string | undefined,
): void {
  if (hint !== undefined) stderr.write(`kvant: ${hint}\n`);
  stderr.write(`${dim(summaryLine(result, info.backend), stderr)}\n`);
}

/** Dimmed on a terminal, unless NO_COLOR says otherwise. */
export function dim(text: string, stream: CliContext['stderr']): string {
  return styleText('dim', text, { stream });
}
