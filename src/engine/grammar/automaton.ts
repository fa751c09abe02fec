import { KvantError } from '../../errors.ts';
import type { RuleSet } from './expression.ts';
import { buildNetwork, type Network, type NetworkState } from './network.ts';

/** Where a call returns to, and who waits for that one. Equal stacks are one object. */
interface Stack {
  readonly id: number;
  readonly back: number;
  readonly below: Stack | undefined;
}

/** One way in which a text so far can be read: a state that takes a byte, and where its rule returns to. */
interface Reading {
  readonly state: number;
  readonly stack: Stack | undefined;
}

/** All ways in which a text so far can be read. Texts that may go on in the same ways have the same place. */
export interface Place {
  readonly readings: readonly Reading[];
  /** Whether the text may end here. */
  readonly isComplete: boolean;
  /** By byte: the place behind it, null where no text goes on so, undefined where nobody has asked. */
  readonly next: (Place | null | undefined)[];
}

/** Places that are remembered: each takes some 2 KB. */
const MAX_PLACES = 4096;
/** No grammar that schemas can make is so ambiguous; without a limit, one that is would use up all memory. */
const MAX_READINGS = 4000;
/** More than there can be while places are remembered; times the number of states it is below 2^53. */
const MAX_STACKS = 2 ** 32;

/**
 * Follows texts of a grammar byte by byte. All readings of an ambiguous text are followed at once, as Tomita's parser does with shared stacks, and every
 * step is remembered: what is asked for again costs one look-up, as in an automaton whose states are made when they are needed.
 */
export class Automaton {
  readonly #network: Network;
  readonly #maxPlaces: number;
  #places = new Map<string, Place>();
  #stacks = new Map<string, Stack>();
  #start: Place | undefined;

  /** @param maxPlaces that are remembered before all are forgotten */
  constructor(rules: RuleSet, maxPlaces = MAX_PLACES) {
    this.#network = buildNetwork(rules);
    this.#maxPlaces = maxPlaces;
  }

  /** Where texts begin. */
  get start(): Place {
    return (this.#start ??= this.#placeOf([{ state: this.#network.start, stack: undefined }]));
  }

  /** Places that are remembered. */
  get numPlaces(): number {
    return this.#places.size;
  }

  /** @returns the place behind one more byte, null if no text goes on so */
  step(place: Place, byte: number): Place | null {
    const known = place.next[byte];
    if (known !== undefined) return known;
    const readings: Reading[] = [];
    for (const { state, stack } of place.readings) {
      for (const { range, to } of this.#state(state).onByte) {
        if (byte >= range[0] && byte <= range[1]) readings.push({ state: to, stack });
      }
    }
    const next = readings.length === 0 ? null : this.#placeOf(readings);
    place.next[byte] = next;
    return next;
  }

  /**
   * Forgets what is remembered if that is too much.
   *
   * @returns the same place to go on from: places from before must not be used any more, as they hold all that they lead to
   */
  tidy(place: Place): Place {
    if (this.#places.size <= this.#maxPlaces) return place;
    this.#places = new Map();
    this.#stacks = new Map();
    this.#start = undefined;
    return this.#placeOf(
      place.readings.map(({ state, stack }) => ({ state, stack: this.#copyStack(stack) })),
      place.isComplete,
    );
  }

  /** Follows jumps, calls and returns, until there are only readings that take a byte. */
  #placeOf(readings: readonly Reading[], isAlsoComplete = false): Place {
    const seen = new Set<number>();
    const taking = new Map<number, Reading>();
    const toFollow = [...readings];
    let isComplete = isAlsoComplete;
    for (let reading = toFollow.pop(); reading; reading = toFollow.pop()) {
      const { state, stack } = reading;
      const id = state * MAX_STACKS + (stack?.id ?? 0);
      if (seen.has(id)) continue;
      seen.add(id);
      if (seen.size > MAX_READINGS) throw tooAmbiguous();
      const { onByte, jumps, calls, isEnd } = this.#state(state);
      if (onByte.length > 0) taking.set(id, reading);
      for (const to of jumps) toFollow.push({ state: to, stack });
      for (const { start, back } of calls) toFollow.push({ state: start, stack: this.#push(back, stack) });
      if (isEnd && stack) toFollow.push({ state: stack.back, stack: stack.below });
      if (isEnd && !stack) isComplete = true;
    }
    return this.#intern(taking, isComplete);
  }

  #intern(readings: ReadonlyMap<number, Reading>, isComplete: boolean): Place {
    const key = `${isComplete ? '.' : ''}${[...readings.keys()].sort((a, b) => a - b).join()}`;
    const known = this.#places.get(key);
    if (known) return known;
    const place = { readings: [...readings.values()], isComplete, next: [] };
    this.#places.set(key, place);
    return place;
  }

  #push(back: number, below: Stack | undefined): Stack | undefined {
    // A rule that ends with a call need not be returned to: lists that are written as recursion would pile up.
    const target = this.#state(back);
    if (target.isEnd && takesNothing(target)) return below;
    const key = `${back}:${below?.id ?? ''}`;
    const known = this.#stacks.get(key);
    if (known) return known;
    const stack = { id: this.#stacks.size + 1, back, below };
    this.#stacks.set(key, stack);
    return stack;
  }

  #copyStack(stack: Stack | undefined): Stack | undefined {
    const backs: number[] = [];
    for (let each = stack; each; each = each.below) backs.push(each.back);
    return backs.reduceRight<Stack | undefined>((below, back) => this.#push(back, below), undefined);
  }

  #state(state: number): NetworkState {
    return this.#network.states[state];
  }
}

function tooAmbiguous(): KvantError {
  const message = 'option "responseFormat" allows too many ways to read one text: make its schema simpler';
  return new KvantError('INVALID_OPTION', message);
}

function takesNothing({ onByte, jumps, calls }: NetworkState): boolean {
  return onByte.length + jumps.length + calls.length === 0;
}
