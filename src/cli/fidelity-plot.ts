import type { KldReport } from './eval-kld.ts';
import type { Drawing } from './picture.ts';

const SIZE = { width: 800, height: 420, marginLeft: 72, marginRight: 64, marginBottom: 48, marginTop: 36 };
const COLOR = '#2f81f7';
const TICKS = [-8, -7, -6, -5, -4, -3, -2, -1, 0].flatMap((power) => [1, 2, 5].map((n) => Number(`${n}e${power}`)));

/** Mean KL divergence against bits an element. A divergence of 0, which has no place on the scale, is left out. */
export function fidelityPlot({ model, ctx, activations, rows }: KldReport): Drawing {
  const points = rows.filter(({ kld_mean }) => kld_mean > 0);
  const divergences = points.map(({ kld_mean }) => kld_mean);
  const [least, most] = [Math.min(...divergences), Math.max(...divergences)];
  const place = { x: 'bits_per_element', y: 'kld_mean' } as const;
  return (plot) => ({
    ...SIZE,
    style: { fontSize: '13px' },
    x: { label: 'bits an element, metadata counted', labelAnchor: 'center', grid: true, nice: true },
    y: {
      type: 'log',
      grid: true,
      label: `mean KL divergence to f16 · ${model}, windows of ${ctx} tokens, ${activations} activations`,
      ticks: TICKS.filter((tick) => tick >= least && tick <= most),
      tickFormat: (value: number) => `${value}`,
    },
    marks: [
      plot.line(points, { ...place, sort: 'bits_per_element', stroke: COLOR, strokeWidth: 2 }),
      plot.dot(points, { ...place, fill: COLOR, r: 4 }),
      plot.text(points, { ...place, text: 'kv', dx: 9, dy: -9, textAnchor: 'start', fill: 'currentColor' }),
    ],
  });
}
