/** The line of samples over a width and a height, the newest at the right edge; empty for fewer than two. */
export interface SparkLine {
  readonly line: string;
  /** The same, closed along the bottom. */
  readonly area: string;
}

/**
 * @param numSlots samples that the width has room for
 * @param top what the upper edge stands for
 */
export function sparkLine(
  samples: readonly number[],
  numSlots: number,
  top: number,
  width: number,
  height: number,
): SparkLine {
  if (samples.length < 2 || top <= 0) return { line: '', area: '' };
  const step = width / (numSlots - 1);
  const left = width - (samples.length - 1) * step;
  const points = samples.map((value, index) => {
    const y = height - (Math.min(value, top) / top) * height;
    return `${(left + index * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join('L')}`;
  return { line, area: `${line}L${width} ${height}L${left.toFixed(1)} ${height}Z` };
}

/** Digits that axes end with. */
const ROUND = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** A round number that is not below the largest sample. */
export function roundTop(largest: number): number {
  if (largest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return power * (ROUND.find((digit) => digit * power >= largest) ?? 10);
}
