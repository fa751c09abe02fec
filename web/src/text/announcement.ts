/** What a screen reader is told of an answer while it comes: whole sentences, never single tokens. */

const SENTENCE_END = /[.!?:;]["')\]]*\s|\n/g;

/**
 * The sentences that are complete and have not been told, and where they end.
 *
 * @param told characters of `text` that have been told already
 */
export function nextSentences(text: string, told: number): { readonly sentences: string; readonly told: number } {
  const rest = text.slice(told);
  const last = [...rest.matchAll(SENTENCE_END)].at(-1);
  if (!last) return { sentences: '', told };
  const end = last.index + last[0].length;
  return { sentences: rest.slice(0, end).trim(), told: told + end };
}
