import type { TensorSource } from '../kernels/kernels.ts';
import type { ByteSource } from './byte-source.ts';
import type { GgufTensor } from './gguf-tensor.ts';
import { checkTensors } from './gguf-tensor.ts';
import { readGgufHeader } from './gguf-header.ts';
import type { Metadata } from './gguf-header.ts';

/** An open GGUF file: its metadata, and tensors that can be read. */
export class GgufFile {
  readonly name: string;
  readonly metadata: Metadata;
  /** By name, in order of their place in the file. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #source: ByteSource;

  private constructor(source: ByteSource, metadata: Metadata, tensors: ReadonlyMap<string, GgufTensor>) {
    this.name = source.name;
    this.metadata = metadata;
    this.tensors = tensors;
    this.#source = source;
  }

  /**
   * Reads and checks the header. The file belongs to the result, or is closed if this throws.
   *
   * @throws KvantError MODEL_NOT_GGUF, MODEL_TRUNCATED, MODEL_INVALID, MODEL_UNSUPPORTED, FILE_ERROR
   */
  static async open(source: ByteSource): Promise<GgufFile> {
    try {
      const header = await readGgufHeader(source);
      const tensors = checkTensors(source.name, source.sizeBytes, header);
      return new GgufFile(source, header.metadata, tensors);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * A tensor as the kernels read it: a matrix [numRows, numCols], or a vector as one row.
   *
   * @throws RangeError if the file has no such tensor, or it has more than two dimensions
   */
  tensorSource(name: string): TensorSource {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new RangeError(`no tensor ${name}`);
    const [numCols, numRows = 1, ...rest] = tensor.shape;
    if (rest.length > 0) throw new RangeError(`tensor ${name} has more than two dimensions`);
    const { type, numBytes } = tensor;
    const source = this.#source;
    return {
      name,
      type,
      numRows,
      numCols,
      read: async (into, offsetBytes) => {
        if (offsetBytes < 0 || offsetBytes + into.length > numBytes) {
          throw new RangeError(
            `bytes ${offsetBytes}..${offsetBytes + into.length} of tensor ${name}, which has ${numBytes}`,
          );
        }
        await source.read(into, tensor.offsetBytes + offsetBytes);
      },
    };
  }

  async close(): Promise<void> {
    await this.#source.close();
  }
}
