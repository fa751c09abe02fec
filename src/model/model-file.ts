import type { MetadataValue } from '@huggingface/gguf';
import { KvantError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { GgufFile } from './gguf-file.ts';
import type { Metadata } from './gguf-header.ts';
import { readHyperparameters } from './hyperparameters.ts';
import type { Hyperparameters } from './hyperparameters.ts';
import { formatShape, quote } from './messages.ts';
import { ropeFrequencies } from './rope.ts';
import { planTensors, ROPE_FACTORS_TENSOR } from './tensor-plan.ts';
import type { PlannedTensor } from './tensor-plan.ts';

/** A model whose file has been opened and checked, none of its weights read yet. */
export interface ModelFile {
  readonly file: GgufFile;
  /** `general.name` of the file, or the file's own name without its extension. */
  readonly name: string;
  readonly hyperparameters: Hyperparameters;
  /** ropeDim / 2 inverse frequencies, scaling included. */
  readonly ropeFrequencies: readonly number[];
  /** What to load, in order of place in the file. */
  readonly tensors: readonly PlannedTensor[];
  /** Bytes of these tensors in the file; a backend may keep more or fewer. */
  readonly weightBytes: number;
  /** Weights of these tensors; a tied embedding counts once. */
  readonly numParameters: number;
  /** The keys that start with `tokenizer.`. */
  readonly tokenizerMetadata: Metadata;
  readonly chatTemplate: string | undefined;
}

/**
 * Opens a model. Everything that can be refused is refused here, before any weight is read. The file belongs to the
 * result (`file.close()` when the weights have been loaded), or is closed if this throws.
 *
 * @throws KvantError MODEL_NOT_GGUF, MODEL_TRUNCATED, MODEL_INVALID, MODEL_UNSUPPORTED, FILE_ERROR
 */
export async function openModelFile(source: ByteSource): Promise<ModelFile> {
  const file = await GgufFile.open(source);
  try {
    return await describe(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function describe(file: GgufFile): Promise<ModelFile> {
  const { metadata } = file;
  const hyperparameters = readHyperparameters(file.name, metadata);
  const tensors = planTensors(file.name, file.tensors, hyperparameters);
  const factors = await readRopeFactors(file, hyperparameters);
  const chatTemplate = metadata['tokenizer.chat_template'];
  return {
    file,
    name: textOf(metadata['general.name']) ?? baseName(file.name),
    hyperparameters,
    ropeFrequencies: ropeFrequencies(hyperparameters, factors),
    tensors,
    weightBytes: sum(file, tensors, 'numBytes'),
    numParameters: sum(file, tensors, 'numElements'),
    tokenizerMetadata: Object.fromEntries(Object.entries(metadata).filter(([key]) => key.startsWith('tokenizer.'))),
    chatTemplate: textOf(chatTemplate),
  };
}

/** Reads llama 3's factors, [ropeDim / 2] of F32, if the file has them. */
async function readRopeFactors(file: GgufFile, { ropeDim }: Hyperparameters): Promise<Float32Array | undefined> {
  const tensor = file.tensors.get(ROPE_FACTORS_TENSOR);
  if (!tensor) return undefined;
  const where = `tensor ${quote(tensor.name)} of ${quote(file.name)}`;
  if (tensor.type !== 'F32' || tensor.shape.length !== 1 || tensor.shape[0] !== ropeDim / 2) {
    const found = `${tensor.type} of ${formatShape(tensor.shape)}`;
    const message = `${where} is ${found}, expected F32 of [${ropeDim / 2}]: download or convert it again`;
    throw new KvantError('MODEL_INVALID', message);
  }
  const bytes = new Uint8Array(tensor.numBytes);
  await file.tensorSource(tensor.name).read(bytes, 0);
  const view = new DataView(bytes.buffer);
  const factors = Float32Array.from({ length: ropeDim / 2 }, (_, pair) => view.getFloat32(4 * pair, true));
  if (factors.every((factor) => factor > 0 && Number.isFinite(factor))) return factors;
  throw new KvantError('MODEL_INVALID', `${where} holds a factor that is not positive: download or convert it again`);
}

function sum(file: GgufFile, planned: readonly PlannedTensor[], field: 'numBytes' | 'numElements'): number {
  return planned.reduce((total, { name }) => total + (file.tensors.get(name)?.[field] ?? 0), 0);
}

function textOf(value: MetadataValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function baseName(path: string): string {
  return path.replace(/^.*[/\\]/, '').replace(/\.gguf$/i, '');
}
