import { rootKey, type PrefixKey } from '../cache/prefix-key.ts';
import type { KvShape } from '../cache/page-layout.ts';
import type { BackendDescription } from '../kernels/kernels.ts';
import { modelFingerprint } from '../model/fingerprint.ts';
import type { ModelFile } from '../model/model-file.ts';
import type { KvFormat, TileFormat } from '../quant/kv-format.ts';

/** Counts changes of docs/page-format.md that give pages other bytes. */
export const PAGE_LAYOUT_VERSION = 1;

/** What the bytes of all pages of an engine depend on, beside their format and tokens. */
export interface EngineIdentity {
  readonly modelFingerprint: string;
  /** SHA-256 of the vocabulary. */
  readonly tokenizer: string;
  readonly shape: KvShape;
  readonly ropeFrequencies: readonly number[];
  /** What computes, as far as its roundings differ from those of others: `wasm relaxed SIMD`; see `arithmeticOf`. */
  readonly arithmetic: string;
}

/**
 * What a backend's roundings depend on. Which of two builds is faster is timed at every start, so that it must not matter: whether bytes are multiplied
 * in fours or in pairs, and in how wide vectors, changes no bit.
 */
export function arithmeticOf({ name, isa }: Pick<BackendDescription, 'name' | 'isa'>): string {
  return `${name} ${isa.replace(/ in pairs|, 256 bits/g, '')}`;
}

/** @param arithmetic see `EngineIdentity` */
export async function engineIdentity(model: ModelFile, arithmetic: string): Promise<EngineIdentity> {
  const { numLayers, numKvHeads, headDim } = model.hyperparameters;
  const vocabulary = JSON.stringify(model.tokenizerMetadata['tokenizer.ggml.tokens'] ?? []);
  const [fingerprint, tokenizer] = await Promise.all([
    modelFingerprint(model.file),
    sha256(new TextEncoder().encode(vocabulary)),
  ]);
  return {
    modelFingerprint: fingerprint,
    tokenizer,
    shape: { numLayers, numKvHeads, headDim },
    ropeFrequencies: model.ropeFrequencies,
    arithmetic,
  };
}

/** Key that chains of pages in a format start with: equal only where pages of the same tokens have the same bytes. */
export async function cacheIdentity(engine: EngineIdentity, format: KvFormat): Promise<PrefixKey> {
  const { pageSize, numSinkTokens, layerBits } = format;
  const [k, v] = await Promise.all([tileIdentity(format.k), tileIdentity(format.v)]);
  return rootKey({ ...engine, layoutVersion: PAGE_LAYOUT_VERSION, k, v, layerBits, pageSize, numSinkTokens });
}

async function tileIdentity({ bits, rotate, transforms, feedback }: TileFormat): Promise<object> {
  const matrices = [transforms?.forward, transforms?.inverse, feedback];
  const digests = await Promise.all(matrices.map(async (each) => each && sha256(each as Float32Array<ArrayBuffer>)));
  return { bits, rotate, digests };
}

/** As hexadecimal digits. */
async function sha256(data: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
