import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { SpeedRow } from '../../src/bench/speed-report.ts';
import type { BenchReport } from '../../src/cli/bench-command.ts';
import { withStyle, type SvgDocument, type SvgElement } from '../../src/cli/picture.ts';
import { placeLabels } from './place-labels.ts';

export type Phase = 'decode' | 'prefill';

/** How fast one engine with one format was at one length of context. */
export interface SpeedPoint {
  /** What the line is called. */
  readonly line: string;
  readonly isPeer: boolean;
  readonly numTokens: number;
  readonly tps: number;
}

/** Legible on white and on GitHub's dark background; a peer's lines are dashed, too. */
const Q4_COLOR = '#2f81f7';
const OUR_COLORS = ['#1a9e96', '#8957e5', '#7d8590', '#6e9e1a'];
const PEER_COLORS = ['#bf8700', '#e5534b', '#d4679f', '#a0693f'];
const SIZE = { width: 800, height: 420, marginLeft: 56, marginRight: 190, marginBottom: 48, marginTop: 36 };
const LABEL_HEIGHT = 17;
/** The format that we exist for. */
const Q4_LINE = 'kvant q4';
const LOG_TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];

/**
 * Speed against the length of the context, a line for each engine and format: of a peer the fastest number of threads at each length.
 *
 * @returns SVG; undefined where fewer than two lengths were measured
 */
export function speedPlot(report: BenchReport, phase: Phase): string | undefined {
  const points = speedPoints(report, phase);
  const lengths = [...new Set(points.map(({ numTokens }) => numTokens))].sort((a, b) => a - b);
  if (lengths.length < 2) return undefined;
  const { document } = parseHTML('<html></html>') as unknown as { readonly document: SvgDocument };
  const lines = [...new Set(points.map(({ line }) => line))];
  const ours = points.filter(({ isPeer }) => !isPeer);
  const peers = points.filter(({ isPeer }) => isPeer);
  const channels = { x: 'numTokens', y: 'tps', stroke: 'line', strokeWidth: 2.5 };
  const plot = Plot.plot({
    document,
    ...SIZE,
    style: { fontSize: '13px' },
    x: { type: 'log', label: 'tokens of context', labelAnchor: 'center', axis: null },
    y: { ...yScale(points, phase), grid: true, label: `${phase}, tokens per second` },
    color: { domain: lines, range: colorsOf(points, lines) },
    marks: [
      // The scale's own axis leaves out labels that are no round numbers.
      Plot.axisX(lengths, { text: lengths.map(withCommas) }),
      Plot.line(ours, channels),
      Plot.line(peers, { ...channels, strokeDasharray: '6 4' }),
      Plot.dot(points, { x: 'numTokens', y: 'tps', fill: 'line', r: 3.5 }),
      ...endLabels(points, phase).map((label) => Plot.text([label.point], label.options)),
    ],
  } as unknown as Plot.PlotOptions) as unknown as SvgElement;
  return withStyle(plot, document);
}

/** Points of all lines, in order of the report. */
export function speedPoints({ rows = [], peer }: BenchReport, phase: Phase): SpeedPoint[] {
  const ours = rows.map((row) => ({ line: `kvant ${row.kv}`, isPeer: false, row }));
  const peers = (peer?.rows ?? []).map((row) => ({ line: `${peer?.name} ${row.kv}`, isPeer: true, row }));
  const points = new Map<string, SpeedPoint>();
  for (const { row, line, isPeer } of [...ours, ...peers]) {
    const [key, tps] = [`${line} ${row.prompt_tokens}`, rateOf(row, phase)];
    if (tps === null || tps < (points.get(key)?.tps ?? 0)) continue;
    points.set(key, { line, isPeer, numTokens: row.prompt_tokens, tps });
  }
  return [...points.values()];
}

function rateOf(row: SpeedRow, phase: Phase): number | null {
  return phase === 'decode' ? row.decode_tps : row.prefill_tps;
}

function colorsOf(points: readonly SpeedPoint[], lines: readonly string[]): string[] {
  const [ours, peers] = [[...OUR_COLORS], [...PEER_COLORS]];
  return lines.map((line) => {
    const isPeer = points.find((point) => point.line === line)?.isPeer;
    if (line === Q4_LINE) return Q4_COLOR;
    return (isPeer ? peers : ours).shift() ?? 'currentColor';
  });
}

/** Prefill spans two orders of magnitude where a peer dequantizes. */
function yScale(points: readonly SpeedPoint[], phase: Phase) {
  const most = Math.max(...points.map(({ tps }) => tps));
  if (phase === 'decode') return { domain: [0, most], ticks: 6, tickFormat: withCommas };
  const least = Math.min(...points.map(({ tps }) => tps));
  return {
    type: 'log',
    domain: [least / 1.2, most * 1.1],
    ticks: LOG_TICKS.filter((tick) => tick >= least / 1.2),
    tickFormat: withCommas,
  };
}

/** `1,024` */
function withCommas(value: number): string {
  return value.toLocaleString('en-US');
}

/** The name of each line beside its last point, moved apart where they would cover each other. */
function endLabels(points: readonly SpeedPoint[], phase: Phase) {
  const last = new Map<string, SpeedPoint>();
  for (const point of points) last.set(point.line, point);
  const ends = [...last.values()];
  const toPixels = pixelsOf(points, phase);
  const wanted = ends.map(({ tps }) => toPixels(tps));
  const placed = placeLabels(wanted, LABEL_HEIGHT);
  return ends.map((point, index) => ({
    point,
    options: {
      x: 'numTokens',
      y: 'tps',
      text: 'line',
      fill: 'line',
      textAnchor: 'start',
      dx: 12,
      dy: placed[index] - wanted[index],
    } as const,
  }));
}

/** Where a rate lies, in pixels from the top of the plot. */
function pixelsOf(points: readonly SpeedPoint[], phase: Phase): (tps: number) => number {
  const { domain, type } = { type: 'linear', ...yScale(points, phase) };
  const scale = type === 'log' ? Math.log : (value: number) => value;
  const [least, most] = domain.map(scale);
  const height = SIZE.height - SIZE.marginTop - SIZE.marginBottom;
  return (tps) => SIZE.marginTop + (height * (most - scale(tps))) / (most - least);
}
