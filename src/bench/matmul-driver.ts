import type {
  Activation,
  Kernels,
  Matrix,
  MatmulOutput,
  Operand,
  Step,
  StepPages,
  Vector,
} from '../kernels/kernels.ts';
import { createStepPages, openPageEnd } from '../kernels/step-pages.ts';
import { rowBytes } from '../kernels/weight-types.ts';
import type { ModelFile } from '../model/model-file.ts';
import type { KernelWork } from './kernel-work.ts';
import { onesVector, randomTensor } from './random-tensor.ts';

/** Matmuls that share an input, as the transformer calls them; the last one, of the logits, is once a model. */
const GROUPS: readonly { readonly name: string; readonly tensors: readonly string[] }[] = [
  { name: 'attn_q+k+v', tensors: ['attn_q', 'attn_k', 'attn_v'] },
  { name: 'attn_output', tensors: ['attn_output'] },
  { name: 'ffn_gate+up', tensors: ['ffn_gate', 'ffn_up'] },
  { name: 'ffn_down', tensors: ['ffn_down'] },
];
const LOGITS_TENSORS = ['output.weight', 'token_embd.weight'];
const EPSILON = 1e-5;

/** The matmuls of one kind in all layers. */
export interface MatmulGroup {
  /** As tensors of GGUF files are called. */
  readonly name: string;
  /** Types of the weights in the file, and their shape: `Q4_0 576x960`. */
  readonly description: string;
  /** A layer's each. */
  readonly calls: readonly (readonly MatmulOutput[])[];
  readonly input: OperandInput;
  /** Bytes of the weights in the file; kernels may keep a few more. */
  readonly weightBytes: number;
  readonly macsPerRow: number;
}

interface OperandInput {
  readonly table: Matrix;
  readonly activation: Activation;
  readonly ones: Vector;
  readonly operand: Operand;
}

/** Matmuls without a model around them: its weights, and random rows as inputs. */
export class MatmulDriver {
  readonly groups: readonly MatmulGroup[];
  readonly #kernels: Kernels;
  readonly #pages: StepPages;

  private constructor(kernels: Kernels, groups: readonly MatmulGroup[]) {
    this.groups = groups;
    this.#kernels = kernels;
    this.#pages = createStepPages(kernels, 1, 1);
  }

  /** Loads the model's matrices. @throws KvantError OUT_OF_MEMORY, MODEL_TRUNCATED, FILE_ERROR */
  static async load(kernels: Kernels, model: ModelFile, signal: AbortSignal): Promise<MatmulDriver> {
    const loader = new GroupLoader(kernels, model, signal);
    const groups: MatmulGroup[] = [];
    const { numLayers } = model.hyperparameters;
    for (const { name, tensors } of GROUPS) {
      const layers = Array.from({ length: numLayers }, (_, layer) => tensors.map((t) => `blk.${layer}.${t}.weight`));
      groups.push(await loader.load(name, layers));
    }
    const logits = LOGITS_TENSORS.find((name) => model.file.tensors.has(name)) ?? LOGITS_TENSORS[1];
    groups.push(await loader.load('output', [[logits]]));
    return new MatmulDriver(kernels, groups);
  }

  /** One step that does all matmuls of a group for so many rows, so many times, each with the norm that its input comes from. */
  async run({ calls, input }: MatmulGroup, numRows: number, numTimes: number): Promise<void> {
    const kernels = this.#kernels;
    kernels.beginStep(this.#step(numRows));
    kernels.embed(input.table, input.activation);
    for (let i = 0; i < numTimes; i++) {
      for (const outputs of calls) {
        kernels.rmsNorm(input.activation, input.ones, EPSILON, input.operand);
        kernels.matmul(input.operand, outputs);
      }
    }
    await kernels.finishStep();
  }

  work({ weightBytes, macsPerRow }: MatmulGroup, numRows: number): KernelWork {
    return { macs: numRows * macsPerRow, bytes: weightBytes };
  }

  #step(numRows: number): Step {
    const { format } = this.#kernels.config;
    const segment = {
      firstRow: 0,
      numRows,
      firstPosition: 0,
      pages: this.#pages,
      sealedPages: [],
      openPage: 0,
      sinkPage: this.#pages.sink && 0,
      sealInto: numRows === openPageEnd(0, format) ? 0 : undefined,
    };
    return { tokenIds: [...Array(numRows).keys()], segments: [segment], outputRows: [] };
  }
}

/** Loads groups whose buffers of equal width are shared, as they are in the transformer. */
class GroupLoader {
  readonly #kernels: Kernels;
  readonly #model: ModelFile;
  readonly #signal: AbortSignal;
  readonly #inputs = new Map<number, OperandInput>();
  readonly #outs = new Map<string, Activation>();

  constructor(kernels: Kernels, model: ModelFile, signal: AbortSignal) {
    this.#kernels = kernels;
    this.#model = model;
    this.#signal = signal;
  }

  async load(name: string, layers: readonly (readonly string[])[]): Promise<MatmulGroup> {
    const { file } = this.#model;
    const sources = layers.map((names) => names.map((tensor) => file.tensorSource(tensor)));
    const calls: MatmulOutput[][] = [];
    for (const layer of sources) {
      const outputs: MatmulOutput[] = [];
      for (const [index, source] of layer.entries()) {
        this.#signal.throwIfAborted();
        const weights = await this.#kernels.loadMatrix(source, { kind: 'file' });
        outputs.push({ weights, out: this.#out(index, weights.numRows) });
      }
      calls.push(outputs);
    }
    const all = sources.flat();
    const types = [...new Set(all.map(({ type }) => type))].join(', ');
    const numRows = sources[0].reduce((sum, source) => sum + source.numRows, 0);
    return {
      name,
      description: `${types} ${all[0].numCols}x${numRows}`,
      calls,
      input: await this.#input(all[0].numCols),
      weightBytes: all.reduce((sum, source) => sum + source.numRows * rowBytes(source.type, source.numCols), 0),
      macsPerRow: all.reduce((sum, source) => sum + source.numRows * source.numCols, 0),
    };
  }

  #out(index: number, width: number): Activation {
    const key = `${index} ${width}`;
    const out = this.#outs.get(key) ?? this.#kernels.createActivation(width, 'step');
    this.#outs.set(key, out);
    return out;
  }

  async #input(width: number): Promise<OperandInput> {
    let input = this.#inputs.get(width);
    if (!input) {
      input = {
        table: await this.#kernels.loadMatrix(randomTensor(this.#kernels.config.maxRows, width, 4), { kind: 'file' }),
        activation: this.#kernels.createActivation(width, 'step'),
        ones: await this.#kernels.loadVector(onesVector(width), { kind: 'file' }),
        operand: this.#kernels.createOperand(width, 'step'),
      };
      this.#inputs.set(width, input);
    }
    return input;
  }
}
