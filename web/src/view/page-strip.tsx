import { useState } from 'preact/hooks';
import {
  PAGE_STATES,
  type CacheStatus,
  type FormatPages,
  type PageState,
  type StripPage,
} from '../api/cache-status.ts';
import { COLOURED_BITS, layOutSquares, squareIndex, type SquareLayout } from '../text/page-squares.ts';
import { formatBits, formatBytes, formatCount, plural } from '../text/figures.ts';

/** Pages of the cache as squares, coloured by their bits, with a legend and the same in words. */
export function PageStrip({ status }: { readonly status: CacheStatus }) {
  const { strip, by_state: byState, by_format: formats, tokens_per_page: tokensPerPage } = status.pages;
  const numFree = freePages(status);
  const [pointed, setPointed] = useState<StripPage | undefined>(undefined);
  const layout = layOutSquares(strip, numFree);
  const inWords = pagesInWords(byState, numFree);
  return (
    <section class="panel-section" aria-labelledby="strip-title">
      <div class="section-title">
        <h3 id="strip-title">Pages</h3>
        <span class="hint">of {tokensPerPage} tokens</span>
      </div>
      <Squares layout={layout} label={`Pages: ${inWords}`} onPoint={(index) => setPointed(strip[index ?? -1])} />
      <p class="hint strip-words">{pointed ? describe(pointed) : inWords}</p>
      <Legend />
      {formats.length > 0 && <FormatTable formats={formats} />}
    </section>
  );
}

interface SquaresProps {
  readonly layout: SquareLayout;
  readonly label: string;
  readonly onPoint: (index: number | undefined) => void;
}

function Squares({ layout, label, onPoint }: SquaresProps) {
  const { columns, rows, shapes, freePath, markPath } = layout;
  const point = (event: PointerEvent & { readonly currentTarget: SVGSVGElement }): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const cell = box.width / columns;
    onPoint(squareIndex((event.clientX - box.left) / cell, (event.clientY - box.top) / cell, columns));
  };
  return (
    <svg
      class="squares"
      viewBox={`0 0 ${columns} ${rows}`}
      role="img"
      aria-label={label}
      onPointerMove={point}
      onPointerLeave={() => onPoint(undefined)}
    >
      <path class="square free" d={freePath} />
      {shapes.map(({ bits, state, path }) => (
        <path key={`${bits} ${state}`} class={`square ${state} bits-${bits}`} d={path} />
      ))}
      <path class="square-mark" d={markPath} />
    </svg>
  );
}

const STATE_WORDS: Record<PageState | 'free', string> = {
  open: 'open: being written, f16',
  sealed: 'sealed: quantized, in use',
  shared: 'shared by several',
  kept: 'kept for the next time',
  free: 'free',
};

function Legend() {
  return (
    <div class="legend">
      <ul aria-label="States">
        {([...PAGE_STATES, 'free'] as const).map((state) => (
          <li key={state} title={STATE_WORDS[state]}>
            <svg viewBox="0 0 1 1" aria-hidden="true">
              <path class={`square ${state} sample`} d="M.1 .1h.8v.8h-.8z" />
              {state === 'shared' && <path class="square-mark" d="M.36 .36h.28v.28h-.28z" />}
            </svg>
            {state}
          </li>
        ))}
      </ul>
      <ul aria-label="Bits">
        {COLOURED_BITS.map((bits) => (
          <li key={bits}>
            <svg viewBox="0 0 1 1" aria-hidden="true">
              <path class={`square sealed bits-${bits}`} d="M.1 .1h.8v.8h-.8z" />
            </svg>
            {bits}
          </li>
        ))}
        <li class="legend-unit">bits</li>
      </ul>
    </div>
  );
}

function FormatTable({ formats }: { readonly formats: readonly FormatPages[] }) {
  return (
    <details class="format-table">
      <summary>Pages by format</summary>
      <div class="table-place" tabIndex={0} role="region" aria-label="Pages by format">
        <table>
          <thead>
            <tr>
              <th scope="col">format</th>
              <th scope="col">bits</th>
              {PAGE_STATES.map((state) => (
                <th key={state} scope="col">
                  {state}
                </th>
              ))}
              <th scope="col">bytes</th>
              <th scope="col">f16</th>
            </tr>
          </thead>
          <tbody>
            {formats.map((row) => (
              <tr key={row.format}>
                <th scope="row">{row.format}</th>
                <td>{formatBits(row.bits)}</td>
                {PAGE_STATES.map((state) => (
                  <td key={state}>{formatCount(row[state])}</td>
                ))}
                <td>{formatBytes(row.bytes)}</td>
                <td>{formatBytes(row.f16_bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** `2 open, 5 kept; room for about 16 more`. */
function pagesInWords(byState: Readonly<Record<PageState, number>>, numFree: number): string {
  const counts = PAGE_STATES.filter((state) => byState[state] > 0).map(
    (state) => `${formatCount(byState[state])} ${state}`,
  );
  return counts.length > 0
    ? `${counts.join(', ')}; room for about ${formatCount(numFree)} more`
    : `empty; room for about ${formatCount(numFree)}`;
}

function describe({ id, state, format, bits, users }: StripPage): string {
  const readers = users > 0 ? `, ${plural(users, 'reader')}` : '';
  return `Page ${id}: ${state}, ${format} with ${formatBits(bits)} bits an element${readers}`;
}

/** About how many sealed pages of the server's format the free memory holds. */
function freePages({ memory, model, pages }: CacheStatus): number {
  const pageBytes = (model.f16_bytes_per_token * pages.tokens_per_page * model.bits_per_element) / 16;
  return pageBytes > 0 ? Math.floor(memory.free_bytes / pageBytes) : 0;
}
