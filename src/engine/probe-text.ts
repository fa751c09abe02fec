import type { Tokenizer } from '../tokens/tokenizer.ts';

/** Prose, speech, a list, numbers, code and another language: what keys look like depends on what is read. */
const PROBE_TEXT = `The ferry left the harbour at half past six, twenty minutes late, because the captain had been waiting for a letter
that never came. Mara stood at the rail and counted the lamps along the quay until the rain hid them. She had spent eleven years on
the island, first as a surveyor and later as the only person who could repair the tide gauge, and now she owned two suitcases, a
brass compass and a dog that disliked the sea.

"You could still turn back," said the man beside her. He was reading a newspaper from the week before.

"The gauge will be wrong by spring," she answered, "and nobody will notice until the cellars are full of water."

He folded the paper. "Then why leave?"

What follows is the list that she had pinned to the door of the hut:
1. Empty the well of the gauge every 14 days; never on a Sunday.
2. Write down the height in centimetres, with the hour: 07:00 - 312.5 cm, 13:00 - 188 cm, 19:00 - 305.75 cm.
3. If the float sticks, strike the pipe twice with the flat of the spanner.
4. Do not trust the radio.

Her notebook held the formula too, in the form in which she had taught it to the machine:

def height(hours, mean=2.41, range=1.37):
    angle = 2 * math.pi * (hours - 3.2) / 12.42
    return round(mean + range * math.cos(angle), 3)

On the mainland a cousin was waiting with the keys of a narrow house, and with a question in every letter: would she teach at the
school, or would she draw maps again? Elle ne savait pas encore quoi répondre. In 1907 the same house had belonged to a clockmaker
who set all his clocks to different times, so that, as he explained to the tax inspector, he would always be right somewhere.

By nine the rain had stopped. The dog slept on the larger suitcase, the engines hummed one steady note below the deck, and far
behind them, low over the water, the light of the island turned round and round, as it had done every night since she came, and as
it would go on doing whether or not anybody measured the sea.
`;

/** The tokens of a probe, and how many of them are the text's. */
export interface ProbeTokens {
  readonly tokens: readonly number[];
  readonly numTextTokens: number;
}

/**
 * The beginning of the built-in text as a prompt, BOS included where the model wants it. Where a vocabulary makes too few tokens of all of
 * it, tokens drawn from the whole vocabulary follow, the same ones each time.
 */
export function probeTokens(
  tokenizer: Pick<Tokenizer, 'encode' | 'addBos' | 'bosId' | 'isControl' | 'vocabularySize'>,
  numTokens: number,
): ProbeTokens {
  const text = tokenizer.encode(PROBE_TEXT).filter((id) => !tokenizer.isControl(id));
  const start = tokenizer.addBos && tokenizer.bosId !== undefined ? [tokenizer.bosId] : [];
  const tokens = [...start, ...text].slice(0, numTokens);
  const numTextTokens = tokens.length;
  const candidates = numTextTokens < numTokens ? ordinaryTokens(tokenizer) : [];
  let state = 1;
  while (tokens.length < numTokens) {
    // The generator of Numerical Recipes, chapter 7: its high bits are good enough to spread tokens.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    tokens.push(candidates[Math.floor((state / 2 ** 32) * candidates.length)]);
  }
  return { tokens, numTextTokens };
}

/** All but markup; all where there is nothing else. */
function ordinaryTokens(tokenizer: Pick<Tokenizer, 'isControl' | 'vocabularySize'>): number[] {
  const ids = Array.from({ length: tokenizer.vocabularySize }, (_, id) => id);
  const ordinary = ids.filter((id) => !tokenizer.isControl(id));
  return ordinary.length > 0 ? ordinary : ids;
}
