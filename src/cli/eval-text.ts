import { basename } from 'node:path';
import type { EvalSetup } from '../eval/eval-engine.ts';
import { prepareModel } from '../eval/setup-node.ts';
import { cutWindows } from '../eval/windows.ts';
import { KvantError } from '../errors.ts';
import type { PplOptions } from './cli-options.ts';
import { EVAL_DEFAULTS } from './eval-flags.ts';
import { readTextFile } from './text-file.ts';
import { readTokenFile } from './token-file.ts';

/** What is measured on. */
export interface EvalText {
  /** The file's name. */
  readonly name: string;
  /** Tokens of the whole file. */
  readonly numTokens: number;
  readonly windows: readonly (readonly number[])[];
}

/**
 * Windows of a text, or of the tokens that are given in its place. Also refuses formats that the model cannot have.
 *
 * @throws KvantError INVALID_OPTION, FILE_ERROR, and what opening the model throws
 */
export async function readEvalText(
  { text, tokens, ctx = EVAL_DEFAULTS.ctx, windows }: PplOptions,
  kvFormats: readonly string[],
  setup: EvalSetup,
): Promise<EvalText> {
  const path = text ?? tokens;
  if (path === undefined || (text !== undefined && tokens !== undefined)) {
    throw new KvantError('INVALID_OPTION', 'give a text to measure on, with either --text FILE or --tokens FILE');
  }
  const given = text === undefined ? await readTokenFile(path) : await readTextFile(path);
  const tokenizer = await prepareModel(setup, kvFormats);
  const options = { ctx, windows, mostByDefault: EVAL_DEFAULTS.windows };
  if (typeof given !== 'string') {
    return { name: basename(path), numTokens: given.length, windows: cutWindows(given, options) };
  }
  const ids = tokenizer.encode(given);
  const bosId = tokenizer.addBos ? tokenizer.bosId : undefined;
  return { name: basename(path), numTokens: ids.length, windows: cutWindows(ids, { ...options, bosId }) };
}
