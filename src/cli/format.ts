/** Figures as people read them. One locale everywhere, so that output does not change with the machine. */

/** `1,024` */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Decimal units, as in `6.6 MB` (1 MB = 10^6 bytes). */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${formatFixed(bytes / 1e9, 2)} GB`;
  if (bytes >= 1e5) return `${formatFixed(bytes / 1e6, 1)} MB`;
  return `${formatFixed(bytes / 1e3, 1)} kB`;
}

/** Tokens per second: whole numbers from 100 on, one decimal below. */
export function formatRate(tokensPerSecond: number): string {
  return `${formatFixed(tokensPerSecond, tokensPerSecond >= 100 ? 0 : 1)} tok/s`;
}

/** At most `decimals` decimals, without trailing zeros. */
export function formatNumber(value: number, decimals: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: decimals });
}

/** Exactly `decimals` decimals. */
export function formatFixed(value: number, decimals: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** `1 thread`, `2 threads` */
export function formatQuantity(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

const AGES = [
  [365 * 86_400, 'y'],
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
] as const;

/** `45 s`, `3 min`, `5 h`, `12 d`, `2 y`: rounded down. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  const [size, unit] = AGES.find(([size]) => seconds >= size) ?? [1, 's'];
  return `${formatCount(Math.floor(seconds / size))} ${unit}`;
}
