/** Numbers in [0, 1), the same for the same seed: a linear congruential generator (Numerical Recipes), random enough for a benchmark. */
export function randomStream(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
