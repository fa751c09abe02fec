import { KvantError } from '../../errors.ts';
import { Automaton, type Place } from './automaton.ts';
import type { RuleSet } from './expression.ts';
import { textBytes, type TokenBytes, type TokenTrie } from './token-trie.ts';

/** Masks that are remembered, of a bit for each token of the vocabulary. */
const MAX_MASKS = 128;

/** What answers of a request may be: a grammar over the tokens of a vocabulary. Requests share one, each with a `GrammarFollower` of its own. */
export class AnswerGrammar {
  readonly #automaton: Automaton;
  readonly #trie: TokenTrie;
  readonly #tokenizer: TokenBytes;
  /** The one that was used last is the last one. */
  readonly #masks = new Map<Place, Uint32Array>();

  constructor(rules: RuleSet, trie: TokenTrie, tokenizer: TokenBytes) {
    this.#automaton = new Automaton(rules);
    this.#trie = trie;
    this.#tokenizer = tokenizer;
  }

  /** Follows an answer from its beginning. */
  follow(): GrammarFollower {
    return new GrammarFollower(this);
  }

  get start(): Place {
    return this.#automaton.start;
  }

  /** A bit for each token that may come: token `id` is bit `id & 31` of word `id >> 5`. */
  tokensFrom(place: Place): Uint32Array {
    const mask = this.#masks.get(place) ?? this.#trie.tokensFrom(place, this.#automaton);
    this.#masks.delete(place);
    this.#masks.set(place, mask);
    if (this.#masks.size > MAX_MASKS) this.#masks.delete(this.#masks.keys().next().value as Place);
    return mask;
  }

  /** @returns the place behind a token, undefined if it may not come */
  placeBehind(place: Place, token: number): Place | undefined {
    const bytes = textBytes(this.#tokenizer, token);
    let next: Place | null = bytes.length > 0 ? place : null;
    for (const byte of bytes) next = next && this.#automaton.step(next, byte);
    return next ?? undefined;
  }

  /** The same place, after it was made sure that not too many are remembered. */
  tidy(place: Place): Place {
    const tidied = this.#automaton.tidy(place);
    if (tidied !== place) this.#masks.clear();
    return tidied;
  }
}

/** Where an answer is in its grammar. */
export class GrammarFollower {
  readonly #grammar: AnswerGrammar;
  #place: Place;

  constructor(grammar: AnswerGrammar) {
    this.#grammar = grammar;
    this.#place = grammar.start;
  }

  /** Whether the answer is complete, and nothing can come but its end. */
  get hasEnded(): boolean {
    return this.#place.isComplete && this.#place.readings.length === 0;
  }

  /**
   * Logits of the tokens that may come; all others are minus infinity. Tokens that end the answer may come where it is complete.
   *
   * @param logits [vocabulary]; not changed
   * @throws KvantError MODEL_UNSUPPORTED if the vocabulary has no token that goes on
   */
  allowedLogits(logits: Float32Array, endIds: ReadonlySet<number>): Float32Array {
    const mask = this.#grammar.tokensFrom(this.#place);
    const allowed = new Float32Array(logits.length).fill(-Infinity);
    let numAllowed = 0;
    for (let word = 0; word < mask.length; word++) {
      for (let bits = mask[word]; bits !== 0; bits &= bits - 1) {
        const id = (word << 5) + 31 - Math.clz32(bits & -bits);
        allowed[id] = logits[id];
        numAllowed++;
      }
    }
    if (this.#place.isComplete) {
      for (const id of endIds) allowed[id] = logits[id];
      numAllowed += endIds.size;
    }
    if (numAllowed > 0) return allowed;
    const message =
      "the model's vocabulary has no token with which the answer could go on in its responseFormat: leave responseFormat out, or take another model";
    throw new KvantError('MODEL_UNSUPPORTED', message);
  }

  /** @param token that `allowedLogits` allows, and that does not end the answer; @throws RangeError for any other one */
  push(token: number): void {
    const next = this.#grammar.placeBehind(this.#place, token);
    if (!next) throw new RangeError(`token ${token} is not allowed by the grammar`);
    this.#place = this.#grammar.tidy(next);
  }
}
