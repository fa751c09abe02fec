import type { GenerateOptions, GenerateResult, Model } from '../engine/types.ts';
import { cutHint, showPrefill, streamAnswer, writeSummary } from './answer.ts';
import type { CliContext } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { EXIT } from './exit-code.ts';
import { Interruptible } from './interrupts.ts';
import { jsonReport } from './json-report.ts';
import { loadModel, samplingOf } from './load-model.ts';
import { LogitsFile } from './logits-file.ts';
import { LogitsRecorder } from './logits-recorder.ts';
import { Output } from './output.ts';
import { positionsOf } from './position-range.ts';
import { ProgressLine } from './progress-line.ts';
import { readPrompt, type PromptInput, type PromptSources } from './prompt-input.ts';

/**
 * Answers one prompt. Everything that can be checked without the model is checked before it is loaded.
 *
 * @returns the exit code: 0, or a signal's where one stopped the answer
 * @throws KvantError, and what `load` and the generation throw
 */
export async function generateCommand(
  sources: PromptSources,
  options: CliOptions,
  context: CliContext,
): Promise<number> {
  const work = new Interruptible(context.interrupts);
  const output = new Output(context.stdout);
  try {
    const prompt = await readPrompt(sources, options, context, work.signal);
    const logits = options.logits === undefined ? undefined : await LogitsFile.create(options.logits);
    try {
      await loadAndAnswer({ prompt, options, logits, output, signal: work.signal }, context);
    } finally {
      await logits?.discard();
    }
    return work.exitCode ?? EXIT.ok;
  } catch (error) {
    if (work.exitCode !== undefined && isAbort(error)) return work.exitCode;
    throw error;
  } finally {
    work.end();
  }
}

interface Request {
  readonly prompt: PromptInput;
  readonly options: CliOptions;
  readonly logits: LogitsFile | undefined;
  readonly output: Output;
  readonly signal: AbortSignal;
}

async function loadAndAnswer(request: Request, context: CliContext): Promise<void> {
  const { options, output } = request;
  const model = await loadModel(options, context, request.signal);
  try {
    const result = await answer(model, request, context);
    if (options.json) await output.write(`${JSON.stringify(jsonReport(result, model.info))}\n`);
    await output.flush();
    if (options.json || output.closed.aborted) return;
    writeSummary(context.stderr, result, model.info, cutHint(result, options, model.info));
  } finally {
    await model.close();
  }
}

async function answer(model: Model, request: Request, context: CliContext): Promise<GenerateResult> {
  const { options, output, signal } = request;
  const prefill = new ProgressLine(context.stderr, context.env['TERM']);
  const { prompt, recorder } = await promptOf(model, request);
  const aborts = [signal, output.closed, ...(recorder ? [recorder.failed] : [])];
  const generation = model.generate({
    ...samplingOf(options),
    ...prompt,
    ...recorder?.options,
    onPrefillProgress: showPrefill(prefill),
    signal: AbortSignal.any(aborts),
  });
  const result = await streamAnswer(generation, options.json ? undefined : output, prefill);
  await recorder?.finish(result.finishReason === 'aborted');
  return result;
}

interface ModelPrompt {
  readonly prompt: Pick<GenerateOptions, 'prompt' | 'messages' | 'tokens'>;
  readonly recorder?: LogitsRecorder;
}

/** The prompt as the library takes it, and with `--logits` who takes the log-probabilities. */
async function promptOf(model: Model, { prompt, options, logits, signal }: Request): Promise<ModelPrompt> {
  const given = libraryPrompt(prompt, options);
  if (!logits) return { prompt: given };
  const numTokens = given.tokens?.length ?? (await countTokens(model, given, signal));
  return { prompt: given, recorder: new LogitsRecorder(logits, positionsOf(options.logitsAt, numTokens)) };
}

function libraryPrompt(prompt: PromptInput, { raw, logits, system }: CliOptions): ModelPrompt['prompt'] {
  if (prompt.kind === 'tokens') return { tokens: prompt.tokenIds };
  if (raw || logits !== undefined) return { prompt: prompt.text };
  const user = { role: 'user', content: prompt.text } as const;
  return { messages: system === undefined ? [user] : [{ role: 'system', content: system }, user] };
}

/**
 * Tokens of a prompt, those that the model adds of its own (BOS) included: only a generation tells them, so one is begun
 * and stopped at the first sign of progress.
 */
async function countTokens(model: Model, prompt: ModelPrompt['prompt'], signal: AbortSignal): Promise<number> {
  const counted = new AbortController();
  const { promptTokens } = await model.generate({
    ...prompt,
    maxTokens: 0,
    onPrefillProgress: () => counted.abort(),
    signal: AbortSignal.any([signal, counted.signal]),
  }).result;
  return promptTokens;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
