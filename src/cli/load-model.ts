import type { LoadOptions, Model, ModelInfo } from '../engine/types.ts';
import type { CliContext } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { DEFAULT_MAX_TOKENS } from './flags.ts';
import { formatBytes } from './format.ts';
import { kvCheckLines } from './kv-check-lines.ts';
import { ProgressLine } from './progress-line.ts';

/** Loads the model that the options name, with progress on a terminal, and says what `--kv auto` has chosen and `--check-kv` found. @throws what `load` throws */
export async function loadModel(
  options: CliOptions &
    Pick<LoadOptions, 'maxSequences' | 'swap' | 'swapSize' | 'swapFolder' | 'tenantQuota' | 'auditEvery'>,
  context: CliContext,
  signal: AbortSignal,
): Promise<Model> {
  const line = new ProgressLine(context.stderr, context.env['TERM']);
  const { model, kv, calibration, ctx, memory, kvMemory, threads, backend, checkKv, draftModel } = options;
  const { maxSequences, swap, swapSize, swapFolder, tenantQuota, auditEvery } = options;
  try {
    const loaded = await context.load({
      ...definedOnly({ model, kv, calibration, ctx, memory, kvMemory, threads, backend, checkKv, draftModel }),
      ...definedOnly({ maxSequences, swap, swapSize, swapFolder, tenantQuota, auditEvery }),
      signal,
      onProgress: ({ loadedBytes, totalBytes }) => {
        const percent = Math.floor((100 * loadedBytes) / totalBytes);
        line.show(() => `loading the model: ${percent}% of ${formatBytes(totalBytes)}`);
      },
    });
    line.clear();
    tellFormat(loaded.info, options, context);
    return loaded;
  } finally {
    line.clear();
  }
}

/** What `--kv auto` has chosen, and what `--check-kv` found. */
function tellFormat({ kvFormat, kvReason, kvCheck }: ModelInfo, { json }: CliOptions, { stderr }: CliContext): void {
  if (json) return;
  if (kvReason !== undefined) stderr.write(`kvant: --kv auto is ${kvFormat}: ${kvReason}\n`);
  for (const text of kvCheck ? kvCheckLines(kvCheck, kvFormat) : []) stderr.write(`kvant: ${text}\n`);
}

/** Options of an answer as the library takes them. */
export function samplingOf(options: CliOptions) {
  const { maxTokens = DEFAULT_MAX_TOKENS, temperature, topK, topP, minP, seed, stop, speculate } = options;
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = options;
  const penalties = { repetitionPenalty, frequencyPenalty, presencePenalty };
  return definedOnly({ maxTokens, temperature, topK, topP, minP, ...penalties, seed, stop, speculate });
}

/** Without the fields that are undefined. */
export type DefinedOnly<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

export function definedOnly<T extends object>(options: T): DefinedOnly<T> {
  const defined = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as DefinedOnly<T>;
}
