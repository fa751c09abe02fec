import type { Tokenizer } from '../tokens/tokenizer.ts';
import { topKIds } from './candidates.ts';
import { logNormalizer } from './log-softmax.ts';
import type { LikelyToken, TokenLogProb } from './output-types.ts';
import type { TextChunk } from './types.ts';

/**
 * How likely the model holds a token, and which ones it holds likeliest: log-softmax of its logits as they are, as OpenAI's API reports it.
 *
 * @param logits [vocabulary], before anything is changed of them
 * @param numTop how many of the likeliest are told
 */
export function tokenLogProb(
  logits: Float32Array,
  tokenId: number,
  numTop: number,
  tokenizer: Pick<Tokenizer, 'tokenBytes'>,
): TokenLogProb {
  const { max, logSum } = logNormalizer(logits);
  const likely = (id: number): LikelyToken => {
    const bytes = tokenizer.tokenBytes(id);
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    return { tokenId: id, bytes: [...bytes], text, logProb: logits[id] - max - logSum };
  };
  const top = numTop === 0 ? [] : [...topKIds(logits, Math.min(numTop, logits.length))].map(likely);
  return { ...likely(tokenId), top };
}

/**
 * Log-probabilities of an answer, given out beside its text. Chunks hold the answer's tokens in order, each once, so that it is enough to count
 * them; how long text is held back makes no difference.
 */
export class AnswerLogProbs {
  readonly all: TokenLogProb[] = [];
  #numGiven = 0;

  /** Those of the next token of the answer. */
  push(logProb: TokenLogProb): void {
    this.all.push(logProb);
  }

  /** The chunk with those of its tokens. */
  addTo(chunk: TextChunk): TextChunk {
    const start = this.#numGiven;
    this.#numGiven += chunk.tokenIds.length;
    return { ...chunk, logProbs: this.all.slice(start, this.#numGiven) };
  }
}
