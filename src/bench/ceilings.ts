/** What this machine can do at most, all measured threads together: what kernels are measured by. */
export interface Ceilings {
  /** Multiplications and additions of bytes in dot products, from the level-1 cache. */
  readonly macsPerSecond: number;
  /** Bytes read from memory, in order. Data that fits into caches can be read faster. */
  readonly bytesPerSecond: number;
}
