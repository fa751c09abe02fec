import { Automaton, type Place } from './automaton.ts';
import { bytes, choice, NOTHING, rule, sequence, type ByteRange, type Expression } from './expression.ts';

type Rules = ReadonlyMap<string, Expression>;

/** Pairs of places that are looked at: lengths and formats have a few thousand with all but the oddest patterns. */
const MAX_PAIRS = 5000;

/** What follows a text that both expressions can begin with. */
interface Pair {
  readonly places: readonly [Place, Place];
  readonly next: { readonly ranges: ByteRange[]; readonly to: Pair }[];
  /** Those that lead to it. */
  readonly before: Pair[];
}

/**
 * The texts that two expressions have in common, neither of which may nest without end: the product of their automata (Rabin and Scott 1959), without
 * what leads nowhere.
 *
 * @param rules that they name
 * @param prefix of the names of the new rules
 * @returns the new rules, the first of which is the whole; none if there is no such text; undefined if it would take too many
 */
export function intersection(a: Expression, b: Expression, rules: Rules, prefix: string): Rules | undefined {
  const pairs = findPairs(a, b, rules);
  if (!pairs) return undefined;
  const useful = leadingToEnd(pairs);
  if (!useful.has(pairs[0])) return new Map();
  const kept = pairs.filter((pair) => useful.has(pair));
  const names = new Map(kept.map((pair, index) => [pair, `${prefix} ${index}`]));
  return new Map(
    kept.map((pair) => {
      const ways = pair.next.flatMap(({ ranges, to }) => {
        const name = names.get(to);
        return name === undefined ? [] : [sequence(bytes(...ranges), rule(name))];
      });
      return [names.get(pair) ?? '', choice(...(isEnd(pair) ? [NOTHING, ...ways] : ways))] as const;
    }),
  );
}

function findPairs(a: Expression, b: Expression, rules: Rules): readonly Pair[] | undefined {
  const [first, second] = [a, b].map((expression) => {
    return new Automaton({ rules: new Map([...rules, ['root', expression]]), root: 'root' }, Infinity);
  });
  const pairs: Pair[] = [];
  const known = new Map<Place, Map<Place, Pair>>();
  const pairOf = (place: Place, other: Place): Pair => {
    const ofPlace = known.get(place) ?? new Map<Place, Pair>();
    known.set(place, ofPlace);
    const pair = ofPlace.get(other) ?? { places: [place, other], next: [], before: [] };
    if (!ofPlace.has(other)) pairs.push(pair);
    ofPlace.set(other, pair);
    return pair;
  };
  pairOf(first.start, second.start);
  // The list grows while it is gone over.
  for (const pair of pairs) {
    if (pairs.length > MAX_PAIRS) return undefined;
    for (let byte = 0; byte < 256; byte++) {
      const place = first.step(pair.places[0], byte);
      const other = place && second.step(pair.places[1], byte);
      if (place && other) connect(pair, pairOf(place, other), byte);
    }
  }
  return pairs;
}

function connect(from: Pair, to: Pair, byte: number): void {
  const way = from.next.find((each) => each.to === to);
  if (!way) {
    from.next.push({ ranges: [[byte, byte]], to });
    to.before.push(from);
    return;
  }
  const [start, end] = way.ranges[way.ranges.length - 1];
  if (end === byte - 1) way.ranges[way.ranges.length - 1] = [start, byte];
  else way.ranges.push([byte, byte]);
}

/** Pairs from which an end can be reached. */
function leadingToEnd(pairs: readonly Pair[]): ReadonlySet<Pair> {
  const useful = new Set(pairs.filter(isEnd));
  // The set grows while it is gone over.
  for (const pair of useful) for (const before of pair.before) useful.add(before);
  return useful;
}

function isEnd({ places: [place, other] }: Pair): boolean {
  return place.isComplete && other.isComplete;
}
