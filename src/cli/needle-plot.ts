import type { NeedleReport } from './eval-needle.ts';
import type { NeedleCellRow } from './needle-table.ts';
import type { Drawing } from './picture.ts';

const CELL_WIDTH = 62;
const CELL_HEIGHT = 34;
const MARGINS = { marginLeft: 64, marginRight: 90, marginTop: 44, marginBottom: 48 };
/** A change by this much, to a third of the probability, has the strongest color. */
const STRONGEST_CHANGE = 1;

/**
 * Length against depth, a map for each format and variant. The color is the change of the right answer's log-probability from f16 (red: less
 * likely), the numbers are the right answers of the trials.
 */
export function needlePlot({ rows, variants, lengths, depths, model }: NeedleReport): Drawing {
  const cells = rows.flatMap(({ kv, cells: those }) => those.map((cell) => ({ kv, ...cell })));
  const columns = rows.length * (depths.length * CELL_WIDTH + 20);
  const lines = variants.length * (lengths.length * CELL_HEIGHT + 12);
  const place = { x: 'depth', y: 'length', fx: 'kv', fy: 'variant' } as const;
  const percent = (depth: number): string => `${Math.round(100 * depth)}%`;
  return (plot) => ({
    ...MARGINS,
    width: MARGINS.marginLeft + MARGINS.marginRight + columns,
    height: MARGINS.marginTop + MARGINS.marginBottom + lines,
    style: { fontSize: '12px' },
    x: { type: 'band', label: `depth of the needle · ${model}`, tickFormat: percent, domain: [...depths] },
    y: { type: 'band', label: 'tokens', domain: [...lengths] },
    fx: { label: null, domain: rows.map(({ kv }) => kv) },
    fy: { label: null, domain: [...variants] },
    color: {
      type: 'diverging',
      scheme: 'RdBu',
      domain: [-STRONGEST_CHANGE, STRONGEST_CHANGE],
      clamp: true,
    },
    marks: [
      plot.cell(cells, { ...place, fill: 'log_prob_change', inset: 0.5 }),
      plot.text(cells, { ...place, text: cellLabel, fill: '#1f2328' }),
    ],
  });
}

function cellLabel({ right, trials }: NeedleCellRow): string {
  return `${right}/${trials}`;
}
