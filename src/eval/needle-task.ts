import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

/**
 * Kinds of retrieval. `single`: one fact, asked for. `multi-key`: a fact at each depth, with keys that are alike, each asked for. `multi-value`: one
 * key that has a value at each depth, all asked for at once. (After RULER, arXiv 2404.06654.)
 */
export const NEEDLE_VARIANTS = ['single', 'multi-key', 'multi-value'] as const;
export type NeedleVariant = (typeof NEEDLE_VARIANTS)[number];

/** A fact in the text. */
export interface Needle {
  /** Share of the text that stands before it, 0 to 1. */
  readonly depth: number;
  readonly sentence: string;
}

export interface NeedleQuestion {
  readonly question: string;
  /** How the answer begins, up to where the values follow. */
  readonly lead: string;
  /** In the order in which the text has them. */
  readonly answers: readonly { readonly depth: number; readonly value: string }[];
}

/** One text and what is asked of it. */
export interface NeedleTask {
  readonly needles: readonly Needle[];
  readonly questions: readonly NeedleQuestion[];
}

const COLORS = ['amber', 'black', 'blue', 'brown', 'crimson', 'golden', 'green', 'grey', 'purple', 'silver', 'white'];
const ANIMALS = [
  ...['badger', 'beaver', 'crane', 'eagle', 'falcon', 'ferret', 'heron', 'lizard', 'marten', 'otter', 'panther'],
  ...['pelican', 'rabbit', 'raven', 'salmon', 'sparrow', 'spider', 'tiger', 'turtle', 'walrus', 'weasel', 'zebra'],
];

/**
 * The tasks of one trial; equal seeds give equal tasks. Those of `single` go from the deepest needle up, so that a cache that keeps its pages computes
 * only what comes after the next one.
 *
 * @param depths ascending
 */
export function needleTasks(variant: NeedleVariant, depths: readonly number[], seed: number): NeedleTask[] {
  const random = xoroshiro128plus(seed);
  const values = distinct(depths.length, () => `${uniformInt(random, 10_000, 99_999)}`);
  if (variant === 'multi-value') return [multiValue(keyOf(random), depths, values)];
  if (variant === 'multi-key') return [multiKey(random, depths, values)];
  return depths.map((depth, i) => single(keyOf(random), depth, values[i])).reverse();
}

function single(key: string, depth: number, value: string): NeedleTask {
  return { needles: [{ depth, sentence: fact(key, value) }], questions: [questionOf(key, depth, value)] };
}

/** Keys that share their first word, as long as there are enough. */
function multiKey(random: RandomGenerator, depths: readonly number[], values: readonly string[]): NeedleTask {
  const color = pick(random, COLORS);
  const isAlike = depths.length <= ANIMALS.length;
  const keys = distinct(depths.length, () => (isAlike ? `${color} ${pick(random, ANIMALS)}` : keyOf(random)));
  return {
    needles: depths.map((depth, i) => ({ depth, sentence: fact(keys[i], values[i]) })),
    questions: depths.map((depth, i) => questionOf(keys[i], depth, values[i])),
  };
}

function multiValue(key: string, depths: readonly number[], values: readonly string[]): NeedleTask {
  const question = {
    question: `What are all the access codes of the ${key}?`,
    lead: `The access codes of the ${key} are`,
    answers: depths.map((depth, i) => ({ depth, value: values[i] })),
  };
  const needles = depths.map((depth, i) => ({ depth, sentence: `One access code of the ${key} is ${values[i]}.` }));
  return { needles, questions: [question] };
}

function fact(key: string, value: string): string {
  return `The access code of the ${key} is ${value}.`;
}

function questionOf(key: string, depth: number, value: string): NeedleQuestion {
  return {
    question: `What is the access code of the ${key}?`,
    lead: `The access code of the ${key} is`,
    answers: [{ depth, value }],
  };
}

function keyOf(random: RandomGenerator): string {
  return `${pick(random, COLORS)} ${pick(random, ANIMALS)}`;
}

function pick(random: RandomGenerator, words: readonly string[]): string {
  return words[uniformInt(random, 0, words.length - 1)];
}

function distinct(count: number, draw: () => string): string[] {
  const drawn = new Set<string>();
  while (drawn.size < count) drawn.add(draw());
  return [...drawn];
}
