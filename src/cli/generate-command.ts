import type { GenerateResult } from '../engine/types.ts';
import { cutHint, showPrefill, streamAnswer, writeSummary } from './answer.ts';
import type { CliContext } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { EXIT } from './exit-code.ts';
import { Interruptible } from './interrupts.ts';
import { jsonReport } from './json-report.ts';
import { loadModel, samplingOf } from './load-model.ts';
import { LogitsFile } from './logits-file.ts';
import { Output } from './output.ts';
import { ProgressLine } from './progress-line.ts';
import { readPrompt, type PromptSources } from './prompt-input.ts';
import { preparePrompt, type PromptRequest, type PromptRun } from './prompt-run.ts';
import { findSession, withSessionFormat } from './session-file.ts';

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
    const session = await findSession(options);
    const prompt = await readPrompt(sources, options, context, work.signal);
    const logits = options.logits === undefined ? undefined : await LogitsFile.create(options.logits);
    try {
      await loadAndAnswer({ prompt, options, logits, session, output, signal: work.signal }, context);
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

interface Request extends PromptRequest {
  readonly output: Output;
  readonly signal: AbortSignal;
}

async function loadAndAnswer(request: Request, context: CliContext): Promise<void> {
  const { options, output, session } = request;
  const model = await loadModel(withSessionFormat(options, session), context, request.signal);
  try {
    const run = await preparePrompt(model, request, context);
    const result = await answer(run, request, context);
    if (options.json) await output.write(`${JSON.stringify(jsonReport(result, model.info))}\n`);
    await output.flush();
    if (!options.json && !output.closed.aborted) {
      writeSummary(context.stderr, result, model.info, cutHint(result, options, model.info));
    }
    await run.save?.(result);
  } finally {
    await model.close();
  }
}

async function answer(run: PromptRun, request: Request, context: CliContext): Promise<GenerateResult> {
  const { options, output, signal } = request;
  const prefill = new ProgressLine(context.stderr, context.env['TERM']);
  const generation = run.start({
    ...samplingOf(options),
    onPrefillProgress: showPrefill(prefill),
    signal: AbortSignal.any([signal, output.closed, ...(run.aborts ?? [])]),
  });
  const result = await streamAnswer(generation, options.json ? undefined : output, prefill);
  await run.complete?.(result);
  return result;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
