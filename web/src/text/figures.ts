/** Figures as the page writes them; a dash where there is none. */

const NONE = '–';

export function formatCount(value: number | undefined): string {
  return value === undefined ? NONE : Math.round(value).toLocaleString('en-US');
}

/** Bytes in decimal units with three digits at most: `940 kB`, `4.21 MB`, `96.6 MB`. */
export function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined) return NONE;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** `320 ms`, `1.4 s`, `24 s`. */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return NONE;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** Tokens per second, without a unit. */
export function formatSpeed(tokensPerSecond: number | undefined): string {
  if (tokensPerSecond === undefined) return NONE;
  return tokensPerSecond.toFixed(tokensPerSecond < 10 ? 1 : 0);
}

export function formatBits(bits: number | undefined): string {
  return bits === undefined ? NONE : String(Number(bits.toFixed(2)));
}

export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`;
}

/** `1 page`, `3 pages`. */
export function plural(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? '' : 's'}`;
}
