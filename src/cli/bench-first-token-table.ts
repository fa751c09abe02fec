import type { FirstTokenRow } from '../bench/first-token-report.ts';
import type { Column } from './bench-table.ts';
import { formatCount, formatFixed } from './format.ts';

/** Of ways to the first token, with a line for each. */
export const FIRST_TOKEN_COLUMNS: readonly Column<FirstTokenRow>[] = [
  { heading: 'kv', width: 8, cell: ({ kv }) => kv },
  { heading: 'tokens', width: 9, cell: ({ prompt_tokens }) => formatCount(prompt_tokens) },
  { heading: 'way', width: 13, cell: ({ way }) => way },
  { heading: 'cached', width: 9, cell: ({ cached_tokens }) => formatCount(cached_tokens) },
  { heading: 'first token ms', width: 16, cell: ({ ms }) => formatFixed(ms, 1) },
  { heading: 'median', width: 11, cell: ({ ms_median }) => formatFixed(ms_median, 1) },
  { heading: 'recompute', width: 11, cell: ({ times_as_fast }) => `${formatFixed(times_as_fast, 1)}x` },
];
