import { KvantError } from '../errors.ts';
import type { TextPiece } from './streaming-detokenizer.ts';

/** Text that may be shown, and the tokens whose text it completes. */
export interface StopCheckedPiece extends TextPiece {
  /** The stop string that ended the text here; it is not part of the text. */
  readonly stopString: string | undefined;
}

/**
 * Cuts streamed text before the first stop string in it. Text that may be the beginning of a stop string is held back
 * until it is known. How the text is cut into pieces makes no difference: of several stop strings the one that begins
 * first counts (of those that begin together, the shortest), also when another one that begins later ends earlier.
 */
export class StopStringFilter {
  readonly #stopStrings: readonly string[];
  #held = '';
  /** UTF-16 units of text taken and given so far. */
  #numTaken = 0;
  #numGiven = 0;
  #pending: { readonly ids: readonly number[]; readonly end: number }[] = [];
  #stopped = false;

  /** @throws KvantError INVALID_OPTION for an empty stop string. */
  constructor(stopStrings: readonly string[]) {
    if (stopStrings.includes('')) {
      throw new KvantError('INVALID_OPTION', 'A stop string is empty, and would end every answer at once. Remove it.');
    }
    this.#stopStrings = stopStrings;
  }

  /** Takes the next piece; gives what is certain. After a stop string nothing more is given. */
  push(piece: TextPiece): StopCheckedPiece {
    if (this.#stopped) return { text: '', tokenIds: [], stopString: undefined };
    this.#held += piece.text;
    this.#numTaken += piece.text.length;
    if (piece.tokenIds.length > 0) this.#pending.push({ ids: piece.tokenIds, end: this.#numTaken });
    const match = this.#firstMatch();
    const partial = this.#firstPartial();
    // Where an earlier stop string may yet be completed, a match behind it does not count so far.
    if (match !== undefined && match.index <= partial) return this.#stop(match);
    return this.#give(partial);
  }

  /** Ends the text: what was held back is given, or cut at a stop string that waited for an earlier one. */
  flush(): StopCheckedPiece {
    const match = this.#stopped ? undefined : this.#firstMatch();
    return match === undefined ? this.#give(this.#held.length) : this.#stop(match);
  }

  #firstMatch(): { index: number; stopString: string } | undefined {
    let first: { index: number; stopString: string } | undefined;
    for (const stopString of this.#stopStrings) {
      const index = this.#held.indexOf(stopString);
      if (index < 0) continue;
      const isFirst =
        first === undefined ||
        index < first.index ||
        (index === first.index && stopString.length < first.stopString.length);
      if (isFirst) first = { index, stopString };
    }
    return first;
  }

  /** Where the first stop string begins that the held text ends in the middle of; the text's end where there is none. */
  #firstPartial(): number {
    const held = this.#held;
    const longest = Math.max(0, ...this.#stopStrings.map((stopString) => stopString.length - 1));
    for (let index = Math.max(0, held.length - longest); index < held.length; index++) {
      const rest = held.slice(index);
      if (this.#stopStrings.some((stopString) => stopString.startsWith(rest) && stopString !== rest)) return index;
    }
    return held.length;
  }

  #give(length: number): StopCheckedPiece {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    this.#numGiven += length;
    const firstHeld = this.#pending.findIndex(({ end }) => end > this.#numGiven);
    const given = this.#pending.splice(0, firstHeld < 0 ? this.#pending.length : firstHeld);
    return { text, tokenIds: given.flatMap(({ ids }) => ids), stopString: undefined };
  }

  /** The last piece carries all tokens that are left, also those whose text is cut: no token is lost. */
  #stop({ index, stopString }: { readonly index: number; readonly stopString: string }): StopCheckedPiece {
    const text = this.#held.slice(0, index);
    const tokenIds = this.#pending.splice(0).flatMap(({ ids }) => ids);
    this.#stopped = true;
    this.#held = '';
    return { text, tokenIds, stopString };
  }
}
