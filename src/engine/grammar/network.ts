import { KvantError } from '../../errors.ts';
import type { ByteRange, Expression, RuleSet } from './expression.ts';

/** A transition network: states of all rules, numbered; a rule calls another one as a program calls a function. */
export interface Network {
  /** By state. */
  readonly states: readonly NetworkState[];
  /** Where texts begin. */
  readonly start: number;
}

export interface NetworkState {
  readonly onByte: readonly { readonly range: ByteRange; readonly to: number }[];
  /** States that are reached without a byte. */
  readonly jumps: readonly number[];
  /** Rules that may begin here, and where it goes on behind them. */
  readonly calls: readonly { readonly start: number; readonly back: number }[];
  /** Whether the state's rule may end here. */
  readonly isEnd: boolean;
}

/** Each takes some 200 bytes. */
const MAX_STATES = 200_000;

interface MutableState {
  readonly onByte: { readonly range: ByteRange; readonly to: number }[];
  readonly jumps: number[];
  readonly calls: { readonly start: number; readonly back: number }[];
  isEnd: boolean;
}

/**
 * @param maxStates more are refused
 * @throws RangeError for a rule that is named and not there; KvantError INVALID_OPTION for too many states
 */
export function buildNetwork({ rules, root }: RuleSet, maxStates = MAX_STATES): Network {
  const builder = new NetworkBuilder(rules, maxStates);
  const start = builder.startOf(root);
  builder.buildAll();
  return { states: builder.states, start };
}

class NetworkBuilder {
  readonly states: MutableState[] = [];
  readonly #rules: ReadonlyMap<string, Expression>;
  readonly #maxStates: number;
  readonly #starts = new Map<string, number>();
  readonly #toBuild: { readonly start: number; readonly expression: Expression }[] = [];

  constructor(rules: ReadonlyMap<string, Expression>, maxStates: number) {
    this.#rules = rules;
    this.#maxStates = maxStates;
  }

  startOf(name: string): number {
    const known = this.#starts.get(name);
    if (known !== undefined) return known;
    const expression = this.#rules.get(name);
    if (!expression) throw new RangeError(`there is no rule ${name}`);
    const start = this.#buildLater(expression);
    this.#starts.set(name, start);
    return start;
  }

  buildAll(): void {
    for (let next = this.#toBuild.pop(); next; next = this.#toBuild.pop()) {
      this.states[this.#build(next.expression, next.start)].isEnd = true;
    }
  }

  /** @returns the state behind the expression */
  #build(expression: Expression, from: number): number {
    switch (expression.kind) {
      case 'byte': {
        const to = this.#newState();
        for (const range of expression.ranges) this.states[from].onByte.push({ range, to });
        return to;
      }
      case 'sequence':
        return expression.items.reduce((state, item) => this.#build(item, state), from);
      case 'choice': {
        const to = this.#newState();
        for (const item of expression.items) this.#jump(this.#build(item, this.#jump(from)), to);
        return to;
      }
      case 'repeat':
        return this.#buildRepeat(expression.item, expression.min, expression.max, from);
      case 'rule':
        return this.#call(this.startOf(expression.name), from);
    }
  }

  #buildRepeat(item: Expression, min: number, max: number | undefined, from: number): number {
    const once = this.#repeatable(item, max ?? min + 1);
    let state = from;
    for (let count = 0; count < min; count++) state = once(state);
    const to = this.#newState();
    if (max === undefined) {
      const loop = this.#jump(state);
      this.#jump(once(loop), loop);
      return this.#jump(loop, to);
    }
    for (let count = min; count < max; count++) {
      this.#jump(state, to);
      state = once(this.#jump(state));
    }
    return this.#jump(state, to);
  }

  /** What is repeated often is a rule of its own, so that its states are there once. */
  #repeatable(item: Expression, times: number): (from: number) => number {
    if (times <= 1 || item.kind === 'byte' || item.kind === 'rule') return (from) => this.#build(item, from);
    const start = this.#buildLater(item);
    return (from) => this.#call(start, from);
  }

  #buildLater(expression: Expression): number {
    const start = this.#newState();
    this.#toBuild.push({ start, expression });
    return start;
  }

  #call(start: number, from: number): number {
    const back = this.#newState();
    this.states[from].calls.push({ start, back });
    return back;
  }

  #jump(from: number, to = this.#newState()): number {
    this.states[from].jumps.push(to);
    return to;
  }

  #newState(): number {
    if (this.states.length >= this.#maxStates) {
      const message = `option "responseFormat" has a schema that makes a grammar of more than ${this.#maxStates} states: make it smaller, above all its minItems, maxItems, minLength and maxLength`;
      throw new KvantError('INVALID_OPTION', message);
    }
    this.states.push({ onByte: [], jumps: [], calls: [], isEnd: false });
    return this.states.length - 1;
  }
}
