import type { Metadata } from './gguf-header.ts';
import { quote } from './messages.ts';
import { invalidModel, unsupportedModel } from './model-error.ts';

/** Far above any model. They keep a hostile header from asking for millions of tensors. */
const MAX_LAYERS = 4096;
const MAX_LENGTH = 2 ** 24;

/** Keys that may hold an array with a value for each layer. */
const PER_LAYER_KEYS = ['feed_forward_length', 'attention.head_count', 'attention.head_count_kv'];

/** What a value must be, and how a message says it. */
interface Rule<T> {
  readonly expected: string;
  readonly holds: (value: unknown) => value is T;
}

/** Keys of the GGUF specification, without the architecture's name before them. Others are not looked at. */
const RULES = {
  block_count: wholeNumber(1, MAX_LAYERS),
  context_length: wholeNumber(1, 2 ** 31),
  embedding_length: wholeNumber(1, MAX_LENGTH),
  feed_forward_length: wholeNumber(1, MAX_LENGTH),
  vocab_size: wholeNumber(1, MAX_LENGTH),
  'attention.head_count': wholeNumber(1, MAX_LENGTH),
  'attention.head_count_kv': wholeNumber(1, MAX_LENGTH),
  'attention.key_length': wholeNumber(1, MAX_LENGTH),
  'attention.value_length': wholeNumber(1, MAX_LENGTH),
  'attention.layer_norm_rms_epsilon': finiteNumber('above 0', (value) => value > 0),
  'attention.causal': { expected: 'true or false', holds: (value) => typeof value === 'boolean' } as Rule<boolean>,
  'attention.sliding_window': wholeNumber(0),
  'rope.dimension_count': wholeNumber(1, MAX_LENGTH),
  'rope.freq_base': finiteNumber('above 0', (value) => value > 0),
  'rope.scaling.type': { expected: 'a text', holds: (value) => typeof value === 'string' } as Rule<string>,
  'rope.scaling.factor': finiteNumber('of at least 0', (value) => value >= 0),
  // The name of `rope.scaling.factor` in files of 2023.
  'rope.scale_linear': finiteNumber('of at least 0', (value) => value >= 0),
  expert_count: wholeNumber(0),
} satisfies Record<string, Rule<unknown>>;

/** Taken where the file does not say, as in llama.cpp. */
const DEFAULTS = {
  'attention.causal': true,
  'attention.sliding_window': 0,
  'rope.freq_base': 10_000,
  'rope.scaling.type': 'linear',
  expert_count: 0,
} as const;

const REQUIRED = [
  'block_count',
  'context_length',
  'embedding_length',
  'feed_forward_length',
  'attention.head_count',
  'attention.layer_norm_rms_epsilon',
] as const;

type Key = keyof typeof RULES;
type Values = { [Name in Key]: (typeof RULES)[Name] extends Rule<infer T> ? T : never };
type Given = (typeof REQUIRED)[number] | keyof typeof DEFAULTS;

export type MetadataValues = Readonly<Pick<Values, Given> & Partial<Omit<Values, Given>>>;

/**
 * Reads the values of an architecture's keys.
 *
 * @throws KvantError MODEL_INVALID for a value that is missing or of the wrong kind, MODEL_UNSUPPORTED for one that
 *   differs by layer
 */
export function readMetadataValues(fileName: string, architecture: string, metadata: Metadata): MetadataValues {
  const values: Record<string, unknown> = { ...DEFAULTS };
  for (const [key, rule] of Object.entries(RULES) as [Key, Rule<unknown>][]) {
    const fullKey = `${architecture}.${key}`;
    const value = metadata[fullKey];
    if (value === undefined) continue;
    values[key] = toNumber(PER_LAYER_KEYS.includes(key) ? oneForAllLayers(fileName, fullKey, value) : value);
    if (rule.holds(values[key])) continue;
    const reason = `is ${quote(String(values[key]))} (expected ${rule.expected})`;
    throw invalidModel(fileName, `cannot be run: its metadata key ${quote(fullKey)} ${reason}`);
  }
  const missing = REQUIRED.find((key) => values[key] === undefined);
  if (missing === undefined) return values as unknown as MetadataValues;
  throw invalidModel(fileName, `cannot be run: its metadata key ${quote(`${architecture}.${missing}`)} is missing`);
}

function oneForAllLayers(fileName: string, key: string, value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  if (value.every((other) => other === value[0])) return value[0];
  throw unsupportedModel(fileName, `has a ${quote(key)} of its own for each layer, which Kvant does not run`);
}

function toNumber(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): Rule<number> {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return {
    expected: `a whole number ${range}`,
    holds: (value): value is number => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
  };
}

function finiteNumber(range: string, isWithin: (value: number) => boolean): Rule<number> {
  return {
    expected: `a number ${range}`,
    holds: (value): value is number => Number.isFinite(value) && isWithin(Number(value)),
  };
}
