import { KvantError } from '../errors.ts';
import type { Needle } from './needle-task.ts';

/** Longer ones are cut, so that needles come close to their depths in short contexts, too. */
const MAX_SENTENCE_WORDS = 40;

/** The sentences of a text, one space between words. */
export function sentencesOf(text: string): string[] {
  const sentences = text.replaceAll(/\s+/g, ' ').match(/[^.!?]+[.!?]*["'”’)\]]*|[.!?]+/g) ?? [];
  return sentences.flatMap((sentence) => {
    const words = sentence.trim().split(' ');
    const numParts = Math.ceil(words.length / MAX_SENTENCE_WORDS);
    return Array.from({ length: numParts }, (_, part) => {
      return words.slice(part * MAX_SENTENCE_WORDS, (part + 1) * MAX_SENTENCE_WORDS).join(' ');
    }).filter((part) => part !== '');
  });
}

/** Text in which needles are hidden: sentences of a text, from any of them on; after the last one comes the first. */
export class Haystack {
  readonly #sentences: readonly string[];
  readonly #countTokens: (text: string) => number;
  readonly #counts: (number | undefined)[];

  /** @throws KvantError INVALID_OPTION if the text has no sentence */
  constructor(text: string, countTokens: (text: string) => number) {
    this.#sentences = sentencesOf(text);
    this.#countTokens = countTokens;
    this.#counts = this.#sentences.map(() => undefined);
    if (this.#sentences.length > 0) return;
    throw new KvantError('INVALID_OPTION', 'the text holds no sentence to hide needles in: give a longer one');
  }

  get numSentences(): number {
    return this.#sentences.length;
  }

  /** How many sentences from `first` on have at most so many tokens, each counted on its own. */
  numFitting(first: number, numTokens: number): number {
    let [count, sum] = [0, this.#tokensOf(first)];
    while (sum <= numTokens) {
      count += 1;
      sum += this.#tokensOf(first + count);
    }
    return count;
  }

  /** `numSentences` from `first` on, with needles between them, each after its share of the sentences. */
  text(first: number, numSentences: number, needles: readonly Needle[]): string {
    const parts: string[] = [];
    for (let index = 0; index <= numSentences; index++) {
      const here = needles.filter(({ depth }) => Math.round(depth * numSentences) === index);
      parts.push(...here.map(({ sentence }) => sentence));
      if (index < numSentences) parts.push(this.#sentences[(first + index) % this.#sentences.length]);
    }
    return parts.join(' ');
  }

  /** At least one, so that counting ends. */
  #tokensOf(sentence: number): number {
    const index = sentence % this.#sentences.length;
    return (this.#counts[index] ??= Math.max(1, this.#countTokens(` ${this.#sentences[index]}`)));
  }
}
