import { basename } from 'node:path';
import { DISTRACTOR_TEXT } from '../eval/distractor-text.ts';
import { measureNeedles, type FormatNeedles, type NeedleOptions } from '../eval/needle.ts';
import { NEEDLE_VARIANTS } from '../eval/needle-task.ts';
import { evalSetup, prepareModel } from '../eval/setup-node.ts';
import type { BenchSession } from './bench-session.ts';
import type { NeedleOptions as NeedleFlags } from './cli-options.ts';
import { EVAL_DEFAULTS } from './eval-flags.ts';
import { evalHeader, type EvalHeader } from './eval-header.ts';
import { formatCount, formatQuantity } from './format.ts';
import { definedOnly } from './load-model.ts';
import { needlePlot } from './needle-plot.ts';
import { needleTable, type NeedleCellRow, type NeedleFormatRow } from './needle-table.ts';
import { preparePicture } from './picture.ts';
import { readTextFile } from './text-file.ts';

export interface NeedleReport extends EvalHeader {
  readonly variants: readonly string[];
  readonly lengths: readonly number[];
  readonly depths: readonly number[];
  readonly trials: number;
  readonly seed: number;
  readonly rows: readonly NeedleFormatRow[];
}

/** What each format finds in long texts. @throws KvantError; the session's reason where it is ended */
export async function evalNeedle(flags: NeedleFlags, session: BenchSession): Promise<NeedleReport> {
  const { model, calibration, threads, backend } = flags;
  const { ctx = EVAL_DEFAULTS.ctx, activations = EVAL_DEFAULTS.activations } = flags;
  const kvFormats = flags.kv ?? EVAL_DEFAULTS.kv;
  const picture = flags.svg === undefined ? undefined : await preparePicture(flags.svg);
  const text = flags.text === undefined ? DISTRACTOR_TEXT : await readTextFile(flags.text);
  const options = needleOptions(flags, ctx, text);
  const load = definedOnly({ model, calibration, threads, backend, ctx });
  const setup = await evalSetup(load, activations, session.signal);
  await prepareModel(setup, kvFormats);
  const textName = flags.text === undefined ? 'built-in text' : basename(flags.text);
  const { variants, lengths, depths, trials, seed } = options;
  const rows: NeedleFormatRow[] = [];
  let header: EvalHeader | undefined;
  await measureNeedles(kvFormats, options, setup, {
    onProgress: (describe) => session.progress(describe),
    async onLoaded(info) {
      header = evalHeader(info, setup, textName);
      const asked = info.hasChatTemplate ? 'asked through the chat template' : 'asked without a chat template';
      const numbers = `${formatQuantity(trials, 'trial')} each, seed ${seed}, up to ${formatCount(ctx)} tokens`;
      await session.title(info);
      await session.print(`${textName}: ${numbers}; ${asked}; activations ${activations}\n`);
    },
    async onResult(result) {
      const row = formatRow(result);
      await session.print(needleTable(row, { depths, isReference: rows.length === 0 }));
      rows.push(row);
    },
  });
  const report = { ...(header as EvalHeader), variants, lengths, depths, trials, seed, rows };
  if (picture) await picture.write(needlePlot(report));
  return report;
}

function needleOptions(flags: NeedleFlags, ctx: number, text: string): NeedleOptions {
  const { lengths, depths, trials, seed, variants } = { ...EVAL_DEFAULTS, variants: NEEDLE_VARIANTS, ...flags };
  return {
    text,
    variants,
    lengths: Array.from({ length: lengths }, (_, i) => Math.floor((ctx * (i + 1)) / lengths)),
    // One alone is in the middle.
    depths: Array.from({ length: depths }, (_, i) => (depths === 1 ? 0.5 : i / (depths - 1))),
    trials,
    seed,
  };
}

function formatRow({ kv, bitsPerElement, cells, scores }: FormatNeedles): NeedleFormatRow {
  const numAsked = scores.length;
  return {
    kv,
    bits_per_element: bitsPerElement,
    asked: numAsked,
    right: scores.filter(({ isRight }) => isRight).length,
    log_prob: scores.reduce((sum, { logProb }) => sum + logProb, 0) / numAsked,
    log_prob_change: cells.reduce((sum, cell) => sum + cell.logProbChange * cell.numTrials, 0) / numAsked,
    cells: cells.map((cell): NeedleCellRow => {
      const { variant, length, depth, numTrials, numRight, logProb, logProbChange } = cell;
      const place = { variant, length, depth };
      return { ...place, trials: numTrials, right: numRight, log_prob: logProb, log_prob_change: logProbChange };
    }),
    answers: scores.map(({ variant, length, depth, value, answer, isRight, logProb }) => {
      return { variant, length, depth, value, answer, right: isRight, log_prob: logProb };
    }),
  };
}
