/** Milliseconds since 1970, which threads agree on, and finer than `Date.now`. */
export function wallClockMs(): number {
  return performance.timeOrigin + performance.now();
}
