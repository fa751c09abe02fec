import { compareFormats, type FormatFidelity } from '../eval/compare-formats.ts';
import { evalSetup } from '../eval/setup-node.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { KldOptions } from './cli-options.ts';
import { EVAL_DEFAULTS } from './eval-flags.ts';
import { windowHeader, windowLine, type WindowHeader } from './eval-header.ts';
import { readEvalText } from './eval-text.ts';
import { formatFixed } from './format.ts';
import { fidelityPlot } from './fidelity-plot.ts';
import { definedOnly } from './load-model.ts';
import { preparePicture } from './picture.ts';

/** A format, as `--json` prints it; docs/accuracy.md defines the figures. */
export interface KldRow {
  readonly kv: string;
  /** Of a sealed page, metadata counted. */
  readonly bits_per_element: number;
  /** Nats. */
  readonly kld_mean: number;
  readonly kld_median: number;
  readonly kld_99_9: number;
  readonly kld_max: number;
  readonly top1_agreement: number;
  readonly perplexity: number;
  readonly perplexity_ratio: number;
  readonly rms_probability_change: number;
}

export interface KldReport extends WindowHeader {
  readonly rows: readonly KldRow[];
}

const COLUMNS: readonly Column<KldRow>[] = [
  { heading: 'kv', width: 10, cell: ({ kv }) => kv },
  { heading: 'bits/element', cell: ({ bits_per_element }) => formatFixed(bits_per_element, 2) },
  { heading: 'mean KLD', width: 12, cell: ({ kld_mean }) => formatKld(kld_mean) },
  { heading: 'median', width: 12, cell: ({ kld_median }) => formatKld(kld_median) },
  { heading: '99.9%', width: 12, cell: ({ kld_99_9 }) => formatKld(kld_99_9) },
  { heading: 'same top 1', width: 12, cell: ({ top1_agreement }) => `${formatFixed(100 * top1_agreement, 2)}%` },
  { heading: 'ppl / f16', width: 12, cell: ({ perplexity_ratio }) => formatFixed(perplexity_ratio, 5) },
  {
    heading: 'RMS change of p',
    width: 18,
    cell: ({ rms_probability_change }) => `${formatFixed(100 * rms_probability_change, 3)}%`,
  },
];

/** What formats lose against the f16 cache. @throws KvantError; the session's reason where it is ended */
export async function evalKld(options: KldOptions, session: BenchSession): Promise<KldReport> {
  const {
    model,
    calibration,
    threads,
    backend,
    ctx = EVAL_DEFAULTS.ctx,
    activations = EVAL_DEFAULTS.activations,
  } = options;
  const kvFormats = options.kv ?? EVAL_DEFAULTS.kv;
  const picture = options.svg === undefined ? undefined : await preparePicture(options.svg);
  const setup = await evalSetup(
    definedOnly({ model, calibration, threads, backend, ctx }),
    activations,
    session.signal,
  );
  const text = await readEvalText(options, kvFormats, setup);
  const rows: KldRow[] = [];
  let header: WindowHeader | undefined;
  await compareFormats(kvFormats, text.windows, setup, {
    onProgress: (describe) => session.progress(describe),
    async onLoaded(info) {
      header = windowHeader(info, setup, text);
      await session.title(info);
      await session.print(windowLine(header) + headingLine(COLUMNS));
    },
    async onResult(result) {
      const row = kldRow(result);
      rows.push(row);
      await session.print(rowLine(COLUMNS, row));
    },
  });
  const report = { ...(header as WindowHeader), rows };
  if (picture) await picture.write(fidelityPlot(report));
  return report;
}

function kldRow(result: FormatFidelity): KldRow {
  const { kv, bitsPerElement, kld, top1Agreement, perplexity, perplexityRatio, rmsProbabilityChange } = result;
  return {
    kv,
    bits_per_element: bitsPerElement,
    kld_mean: kld.mean,
    kld_median: kld.median,
    kld_99_9: kld.percentile999,
    kld_max: kld.max,
    top1_agreement: top1Agreement,
    perplexity,
    perplexity_ratio: perplexityRatio,
    rms_probability_change: rmsProbabilityChange,
  };
}

/** Three digits that count; rounding makes equal distributions a few times 10^-9 apart, of either sign. */
function formatKld(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return `${value}`;
  return Math.abs(value) < 1e-6 ? value.toExponential(1) : value.toPrecision(3);
}
