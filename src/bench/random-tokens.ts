/** The same for the same length; a linear congruential generator (Numerical Recipes) is random enough for a prompt. */
export function randomTokens(length: number, vocabularySize: number): number[] {
  let state = length;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabularySize);
  });
}
