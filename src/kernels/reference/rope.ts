/**
 * Rotary position embedding (arXiv 2104.09864) of one head, in place, in float64: channels i and i + ropeDim / 2 are a
 * pair, turned by the angle position * frequencies[i]. Channels from ropeDim on stay as they are.
 *
 * @param head headDim values, at least 2 * frequencies.length
 * @param frequencies ropeDim / 2 inverse frequencies
 */
export function rope(head: Float64Array, position: number, frequencies: readonly number[]): void {
  const half = frequencies.length;
  for (let i = 0; i < half; i++) {
    const cos = Math.cos(position * frequencies[i]);
    const sin = Math.sin(position * frequencies[i]);
    const first = head[i];
    const second = head[i + half];
    head[i] = first * cos - second * sin;
    head[i + half] = first * sin + second * cos;
  }
}
