import { StopStringFilter, type StopCheckedPiece } from '../tokens/stop-strings.ts';
import { StreamingDetokenizer, type TextPiece } from '../tokens/streaming-detokenizer.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';
import type { TextChunk } from './types.ts';

/** The text of an answer as its tokens come: whole characters, up to the model's end of turn or a stop string. */
export class AnswerText {
  readonly #endIds: ReadonlySet<number>;
  readonly #detokenizer: StreamingDetokenizer;
  readonly #filter: StopStringFilter;
  #text = '';
  #hasStopped = false;

  /** @param ignoreEnd whether tokens that end the model's turn are tokens as any other */
  constructor(tokenizer: Tokenizer, stop: readonly string[], ignoreEnd = false) {
    this.#endIds = ignoreEnd ? new Set() : tokenizer.endIds;
    this.#detokenizer = new StreamingDetokenizer(tokenizer);
    this.#filter = new StopStringFilter(stop);
  }

  /** All text so far, without what is held back. */
  get text(): string {
    return this.#text;
  }

  /** Whether the model has ended its turn, or a stop string has come. */
  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  /** @returns what the token adds to the text, if that is certain already */
  push(token: number): TextChunk | undefined {
    if (this.#endIds.has(token)) {
      this.#hasStopped = true;
      return undefined;
    }
    return this.#take(this.#filter.push(this.#detokenizer.push(token)));
  }

  /** No token comes any more. @returns the text that was held back */
  end(): TextChunk | undefined {
    const last = this.#filter.push(this.#detokenizer.flush());
    const held = this.#filter.flush();
    return this.#take({
      text: last.text + held.text,
      tokenIds: [...last.tokenIds, ...held.tokenIds],
      stopString: last.stopString ?? held.stopString,
    });
  }

  #take({ text, tokenIds, stopString }: StopCheckedPiece): TextChunk | undefined {
    if (stopString !== undefined) this.#hasStopped = true;
    this.#text += text;
    return isEmpty({ text, tokenIds }) ? undefined : { text, tokenIds };
  }
}

function isEmpty({ text, tokenIds }: TextPiece): boolean {
  return text === '' && tokenIds.length === 0;
}
