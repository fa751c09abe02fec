import * as z from 'zod';
import type { Metadata } from './gguf-header.ts';
import { quote } from './messages.ts';
import { invalidModel, unsupportedModel } from './model-error.ts';

/** Far above any model. They keep a hostile header from asking for millions of tensors. */
const MAX_LAYERS = 4096;
const MAX_LENGTH = 2 ** 24;

/** Keys that may hold an array with a value for each layer. */
const PER_LAYER_KEYS = ['feed_forward_length', 'attention.head_count', 'attention.head_count_kv'];

const count = (max: number) => z.preprocess(toNumber, z.int().positive().max(max));
const positive = z.preprocess(toNumber, z.number().positive());

/** Keys of the GGUF specification, without the architecture's name before them. Others are not looked at. */
const schema = z.object({
  block_count: count(MAX_LAYERS),
  context_length: count(2 ** 31),
  embedding_length: count(MAX_LENGTH),
  feed_forward_length: count(MAX_LENGTH),
  vocab_size: count(MAX_LENGTH).optional(),
  'attention.head_count': count(MAX_LENGTH),
  'attention.head_count_kv': count(MAX_LENGTH).optional(),
  'attention.key_length': count(MAX_LENGTH).optional(),
  'attention.value_length': count(MAX_LENGTH).optional(),
  'attention.layer_norm_rms_epsilon': positive,
  'attention.causal': z.boolean().default(true),
  'attention.sliding_window': z.preprocess(toNumber, z.int().nonnegative()).default(0),
  'rope.dimension_count': count(MAX_LENGTH).optional(),
  'rope.freq_base': positive.default(10_000),
  'rope.scaling.type': z.string().default('linear'),
  'rope.scaling.factor': z.preprocess(toNumber, z.number().nonnegative()).optional(),
  // The name of `rope.scaling.factor` in files of 2023.
  'rope.scale_linear': z.preprocess(toNumber, z.number().nonnegative()).optional(),
  expert_count: z.preprocess(toNumber, z.int().nonnegative()).default(0),
});

export type MetadataValues = z.infer<typeof schema>;

/**
 * Reads the values of an architecture's keys.
 *
 * @throws KvantError MODEL_INVALID for a value that is missing or of the wrong kind, MODEL_UNSUPPORTED for one that
 *   differs by layer
 */
export function readMetadataValues(fileName: string, architecture: string, metadata: Metadata): MetadataValues {
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(schema.shape)) {
    const value = metadata[`${architecture}.${key}`];
    if (value === undefined) continue;
    const perLayer = PER_LAYER_KEYS.includes(key) && Array.isArray(value);
    if (perLayer && value.some((other) => other !== value[0])) {
      throw unsupportedModel(
        fileName,
        `has a ${quote(`${architecture}.${key}`)} of its own for each layer, which Kvant does not run`,
      );
    }
    values[key] = perLayer ? value[0] : value;
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const key = String(issue.path[0]);
  const found = key in values ? `is ${quote(String(values[key]))} (${issue.message})` : 'is missing';
  throw invalidModel(fileName, `cannot be run: its metadata key ${quote(`${architecture}.${key}`)} ${found}`);
}

function toNumber(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
