import type { ModelFile } from '../model-file.ts';

/**
 * Llama's forward pass as its paper has it (arXiv 2302.13971), over F32 tensors straight from the file: no kernels, no
 * pages, no reordered rows, every number float64. Rotary pairs are channels 2i and 2i + 1, as in the file, or i and
 * i + ropeDim / 2 for Qwen2 (arXiv 2407.10671) and Qwen3 (arXiv 2505.09388), which normalises heads before.
 */
export class PlainLlama {
  readonly #model: ModelFile;
  readonly #tensors: ReadonlyMap<string, Float32Array>;

  private constructor(model: ModelFile, tensors: ReadonlyMap<string, Float32Array>) {
    this.#model = model;
    this.#tensors = tensors;
  }

  static async load(model: ModelFile): Promise<PlainLlama> {
    const tensors = new Map<string, Float32Array>();
    for (const { name } of model.tensors) {
      const { numRows, numCols } = model.file.tensorSource(name);
      const values = new Float32Array(numRows * numCols);
      await model.file.tensorSource(name).read(new Uint8Array(values.buffer), 0);
      tensors.set(name, values);
    }
    return new PlainLlama(model, tensors);
  }

  /** @returns logits [tokens, vocabulary] */
  forward(tokenIds: readonly number[]): number[][] {
    const { numLayers, embeddingLength } = this.#model.hyperparameters;
    const embedding = this.#tensor('token_embd.weight');
    let rows = tokenIds.map((id) => [...embedding.subarray(id * embeddingLength, (id + 1) * embeddingLength)]);
    for (let layer = 0; layer < numLayers; layer++) rows = this.#layer(`blk.${layer}`, rows);
    const head = this.#tensors.has('output.weight') ? 'output' : 'token_embd';
    return rows.map((row) => this.#project(head, this.#norm('output_norm', row)));
  }

  #layer(prefix: string, rows: readonly number[][]): number[][] {
    const normed = rows.map((row) => this.#norm(`${prefix}.attn_norm`, row));
    const queries = normed.map((row, position) => this.#rotate(this.#heads(`${prefix}.attn_q`, row), position));
    const keys = normed.map((row, position) => this.#rotate(this.#heads(`${prefix}.attn_k`, row), position));
    const values = normed.map((row) => this.#project(`${prefix}.attn_v`, row));
    return rows.map((row, position) => {
      const attended = this.#attend(queries[position], keys.slice(0, position + 1), values);
      const middle = add(row, this.#project(`${prefix}.attn_output`, attended));
      const x = this.#norm(`${prefix}.ffn_norm`, middle);
      const gate = this.#project(`${prefix}.ffn_gate`, x);
      const up = this.#project(`${prefix}.ffn_up`, x);
      const activated = gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]);
      return add(middle, this.#project(`${prefix}.ffn_down`, activated));
    });
  }

  #attend(query: readonly number[], keys: readonly number[][], values: readonly number[][]): number[] {
    const { numHeads, numKvHeads, headDim } = this.#model.hyperparameters;
    const out: number[] = [];
    for (let head = 0; head < numHeads; head++) {
      const kvStart = Math.floor((head * numKvHeads) / numHeads) * headDim;
      const q = query.slice(head * headDim, (head + 1) * headDim);
      const scores = keys.map((key) => dot(q, key.slice(kvStart, kvStart + headDim)) / Math.sqrt(headDim));
      const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let channel = 0; channel < headDim; channel++) {
        out.push(weights.reduce((sum, weight, t) => sum + (weight / total) * values[t][kvStart + channel], 0));
      }
    }
    return out;
  }

  #heads(name: string, row: readonly number[]): number[] {
    const { headDim } = this.#model.hyperparameters;
    const projected = this.#project(name, row);
    if (!this.#tensors.has(`${name}_norm.weight`)) return projected;
    const heads = Array.from({ length: projected.length / headDim }, (_, head) =>
      projected.slice(head * headDim, (head + 1) * headDim),
    );
    return heads.flatMap((head) => this.#norm(`${name}_norm`, head));
  }

  #rotate(row: readonly number[], position: number): number[] {
    const { headDim, ropeDim, architecture } = this.#model.hyperparameters;
    const out = [...row];
    for (let start = 0; start < row.length; start += headDim) {
      this.#model.ropeFrequencies.forEach((frequency, pair) => {
        const first = start + (architecture === 'llama' ? 2 * pair : pair);
        const second = architecture === 'llama' ? first + 1 : first + ropeDim / 2;
        const [a, b] = [row[first], row[second]];
        const [cos, sin] = [Math.cos(position * frequency), Math.sin(position * frequency)];
        out[first] = a * cos - b * sin;
        out[second] = a * sin + b * cos;
      });
    }
    return out;
  }

  #norm(name: string, row: readonly number[]): number[] {
    const weight = this.#tensor(`${name}.weight`);
    const scale = 1 / Math.sqrt(dot(row, row) / row.length + this.#model.hyperparameters.rmsEpsilon);
    return row.map((value, i) => value * scale * weight[i]);
  }

  #project(name: string, row: readonly number[]): number[] {
    const weight = this.#tensor(`${name}.weight`);
    const bias = this.#tensors.get(`${name}.bias`);
    const numRows = weight.length / row.length;
    return Array.from({ length: numRows }, (_, out) => {
      const product = dot(row, weight.subarray(out * row.length, (out + 1) * row.length));
      return product + (bias ? bias[out] : 0);
    });
  }

  #tensor(name: string): Float32Array {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new RangeError(`no tensor ${name}`);
    return tensor;
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function add(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value + b[i]);
}
