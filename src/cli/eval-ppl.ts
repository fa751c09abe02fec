import { measurePerplexity } from '../eval/perplexity.ts';
import { evalSetup } from '../eval/setup-node.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { PplOptions } from './cli-options.ts';
import { EVAL_DEFAULTS } from './eval-flags.ts';
import { windowHeader, windowLine, type WindowHeader } from './eval-header.ts';
import { readEvalText } from './eval-text.ts';
import { formatFixed } from './format.ts';
import { definedOnly } from './load-model.ts';

/** A format, as `--json` prints it. */
export interface PplRow {
  readonly kv: string;
  readonly bits_per_element: number;
  readonly perplexity: number;
  readonly perplexity_ratio: number;
}

export interface PplReport extends WindowHeader {
  readonly rows: readonly PplRow[];
}

const COLUMNS: readonly Column<PplRow>[] = [
  { heading: 'kv', width: 10, cell: ({ kv }) => kv },
  { heading: 'bits/element', cell: ({ bits_per_element }) => formatFixed(bits_per_element, 2) },
  { heading: 'perplexity', cell: ({ perplexity }) => formatFixed(perplexity, 4) },
  { heading: 'by f16', cell: ({ perplexity_ratio }) => formatFixed(perplexity_ratio, 5) },
];

/** Perplexity of a text with each format. @throws KvantError; the session's reason where it is ended */
export async function evalPpl(options: PplOptions, session: BenchSession): Promise<PplReport> {
  const {
    model,
    calibration,
    threads,
    backend,
    ctx = EVAL_DEFAULTS.ctx,
    activations = EVAL_DEFAULTS.activations,
  } = options;
  const kvFormats = options.kv ?? EVAL_DEFAULTS.kv;
  const setup = await evalSetup(
    definedOnly({ model, calibration, threads, backend, ctx }),
    activations,
    session.signal,
  );
  const text = await readEvalText(options, kvFormats, setup);
  const rows: PplRow[] = [];
  let header: WindowHeader | undefined;
  await measurePerplexity(kvFormats, text.windows, setup, {
    onProgress: (describe) => session.progress(describe),
    async onLoaded(info) {
      header = windowHeader(info, setup, text);
      await session.title(info);
      await session.print(windowLine(header) + headingLine(COLUMNS));
    },
    async onResult({ kv, bitsPerElement, perplexity, ratio }) {
      const row = { kv, bits_per_element: bitsPerElement, perplexity, perplexity_ratio: ratio };
      rows.push(row);
      await session.print(rowLine(COLUMNS, row));
    },
  });
  return { ...(header as WindowHeader), rows };
}
