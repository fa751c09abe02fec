/** What an answer may be made to look like, and what is told of its tokens: public types, plain data that crosses threads. */

/**
 * The form of an answer. `json_object`: one JSON object. `json_schema`: one JSON value that a schema allows; see docs/structured-output.md for the keywords that
 * it may use, others are refused. The model cannot leave the form: an answer that ends by itself is complete, and one that `maxTokens` or the
 * context cuts is the beginning of such a text.
 */
export type ResponseFormat =
  | { readonly type: 'text' }
  | { readonly type: 'json_object' }
  | { readonly type: 'json_schema'; readonly schema: object };

/** A token and how likely it was. */
export interface LikelyToken {
  readonly tokenId: number;
  /** The bytes that the token stands for; a character may lie across several tokens. */
  readonly bytes: readonly number[];
  /** The same as text; bytes that are no whole characters are U+FFFD. */
  readonly text: string;
  /**
   * Natural logarithm of the probability that the model gives the token at this place: of its logits as they are, before biases, penalties, temperature, filters and
   * the response format.
   */
  readonly logProb: number;
}

/** A token of the answer, and the likeliest ones of its place. */
export interface TokenLogProb extends LikelyToken {
  /** As many as `topLogProbs` asks for, likeliest first; of equal ones the lower id first. The token itself need not be among them. */
  readonly top: readonly LikelyToken[];
}
