import { hadamardFactor } from '../../quant/hadamard.ts';
import type { TileFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import { LAYER_BYTES, type GpuFormats } from './gpu-formats.ts';
import { rangeOfLayer } from './gpu-pages.ts';
import type { GpuKernel, GpuProgram } from './gpu-program.ts';
import { powerOfTwo } from './power-of-two.ts';
import type { OperandRanges } from './row-ranges.ts';
import { f32, type ShaderConstants } from './shader-constants.ts';
import type { FormatPart, StepBuffer } from './step-buffer.ts';

/** Of a workgroup that merges the parts of a head, where the device has so many. */
const MERGE_THREADS = 512;
/** Query heads that a workgroup takes. */
const TILE_HEADS = 4;

export interface AttentionParts {
  readonly gpu: GpuDevice;
  readonly program: GpuProgram;
  readonly config: KernelsConfig;
  readonly formats: GpuFormats;
  readonly step: StepBuffer;
}

/** Of a part of attention, all heads. */
export function bytesOfPart({ numHeads, shape }: KernelsConfig): number {
  return numHeads * (shape.headDim + 4) * 4;
}

/** What happens between the projections and the pages. */
export class AttentionKernels {
  readonly #parts: AttentionParts;
  /** States of parts of attention. */
  readonly #states: GpuRange;
  /** For what a shader does not read. */
  readonly #nothing: GpuRange;
  readonly #rope: GpuRange;
  readonly #ropeValues: Float32Array;
  readonly #spans = new Map<GpuRange, GpuRange[]>();
  /** Layers whose tiles are full. */
  readonly #full = new Map<FormatPart, number[]>();

  /** @throws KvantError OUT_OF_MEMORY */
  constructor(parts: AttentionParts) {
    const { gpu, config, step } = parts;
    const { maxRows, ropeFrequencies } = config;
    this.#parts = parts;
    this.#states = gpu.allocate(step.maxParts * bytesOfPart(config), 'the parts of attention');
    this.#nothing = gpu.allocate(16, 'the parts of attention');
    this.#ropeValues = new Float32Array(2 * maxRows * ropeFrequencies.length);
    this.#rope = gpu.allocate(this.#ropeValues.byteLength, 'the rotary table');
  }

  /** Writes cosines and sines of a step's rows, computed in float64. */
  writeRope(positions: readonly number[]): void {
    const { ropeFrequencies } = this.#parts.config;
    let index = 0;
    for (const position of positions) {
      for (const frequency of ropeFrequencies) {
        this.#ropeValues[index++] = Math.cos(position * frequency);
        this.#ropeValues[index++] = Math.sin(position * frequency);
      }
    }
    this.#parts.gpu.write(this.#rope, this.#ropeValues.subarray(0, index));
  }

  store(part: FormatPart, layer: number, q: GpuRange, k: GpuRange, v: GpuRange): void {
    const { program, config, formats, step } = this.#parts;
    const { shape, numHeads, ropeFrequencies } = config;
    const { storeMatrices } = formats.get(part.format);
    const kernel = program.kernel(keyOf(part, 'store'), () => ({
      name: 'store-keys-values',
      parts: ['step'],
      constants: {
        ...this.#shapeConstants(part, 0),
        HEAD_THREADS: powerOfTwo(shape.headDim),
        ROPE_PAIRS: ropeFrequencies.length,
        K_TRANSFORM: transformKind(part.format.k),
        V_TRANSFORM: transformKind(part.format.v),
        FACTOR: f32(hadamardFactor(shape.headDim)),
        QUERY_FACTOR: f32(1 / Math.sqrt(shape.headDim)),
      },
    }));
    const matrices = storeMatrices?.[layer] ?? this.#nothing;
    const tiles = formats.layer(part.format, part.arena.groups, layer);
    const bindings = [step.range, rangeOfLayer(part.arena, layer), q, k, v, tiles, this.#rope, matrices];
    program.dispatch(kernel, bindings, [part.numRows, numHeads + 2 * shape.numKvHeads]);
  }

  /** @param isTiled how `out` lies */
  attend(part: FormatPart, layer: number, q: GpuRange, out: OperandRanges, isTiled: boolean): void {
    const { gpu, program, config, formats, step } = this.#parts;
    const { outputMatrices } = formats.get(part.format);
    const tiles = formats.layer(part.format, part.arena.groups, layer);
    const arena = rangeOfLayer(part.arena, layer);
    const bindings = [step.range, arena, arena, q, tiles, this.#states];
    const numGroups = config.shape.numKvHeads * this.#headTiles;
    // Many long sequences have more units than a grid has in one dimension.
    const numRounds = Math.ceil(part.numUnits / gpu.maxWorkgroups);
    const grid = [numGroups, Math.ceil(part.numUnits / numRounds), numRounds] as const;
    program.dispatch(this.#attendKernel(part, layer), bindings, grid);
    const operand = [out.floats, out.codes, out.scales];
    const merge = [...operand, step.range, this.#states, outputMatrices?.[layer] ?? this.#nothing];
    program.dispatch(this.#mergeKernel(part, isTiled), merge, [part.numRows, config.numHeads]);
  }

  /** Notes down a layer whose tiles are full: its pages are read as they are until the step ends. */
  seal(part: FormatPart, layer: number): void {
    if (part.numSeals === 0) return;
    const layers = this.#full.get(part);
    if (layers) layers.push(layer);
    else this.#full.set(part, [layer]);
  }

  /** Seals what has been noted down: many tiles at a time, since a GPU is busy with one for long. */
  sealAll(): void {
    for (const [part, layers] of this.#full) {
      const { bits } = this.#parts.formats.get(part.format);
      const { groups } = part.arena;
      for (const kind of ['k', 'v'] as const) {
        const runs = runsOf(
          layers,
          (layer) => bits[layer][kind],
          (layer) => groups.groupOf(layer),
        );
        for (const run of runs) this.#sealRun(part, kind, run);
      }
    }
    this.#full.clear();
  }

  /** Forgets what has been noted down. */
  discard(): void {
    this.#full.clear();
  }

  #sealRun(part: FormatPart, kind: 'k' | 'v', { first, count, value: bits }: Run): void {
    const { program, config, formats, step } = this.#parts;
    const { feedback } = formats.get(part.format);
    const kernel = program.kernel(`seal ${part.slot} ${kind}${bits} ${count}`, () => ({
      name: 'seal',
      parts: ['step', 'exact'],
      constants: {
        ...this.#shapeConstants(part, 0),
        NUM_LAYERS: count,
        BITS: bits,
        IS_KEY: kind === 'k',
        // Codes of one bit have no room for it (docs/page-format.md).
        FEEDBACK: kind === 'k' && feedback !== undefined && bits !== 1,
      },
    }));
    const tiles = this.#span(formats.layer(part.format, part.arena.groups, first), count * LAYER_BYTES);
    const factors = feedback ? this.#span(feedback[first], count * feedback[first].numBytes) : this.#nothing;
    const bindings = [step.range, rangeOfLayer(part.arena, first), tiles, factors];
    program.dispatch(kernel, bindings, [part.numSeals, config.shape.numKvHeads * count]);
  }

  /** What layers have side by side, from the first one's on: the same object each time, by which bind groups are found. */
  #span(first: GpuRange, numBytes: number): GpuRange {
    const known = this.#spans.get(first)?.find((span) => span.numBytes === numBytes);
    if (known) return known;
    const span = this.#parts.gpu.range(first.buffer, first.offsetBytes, numBytes);
    this.#spans.set(first, [...(this.#spans.get(first) ?? []), span]);
    return span;
  }

  get #headTiles(): number {
    const { numHeads, shape } = this.#parts.config;
    return Math.ceil(numHeads / shape.numKvHeads / TILE_HEADS);
  }

  #attendKernel(part: FormatPart, layer: number): GpuKernel {
    const { gpu, program, formats } = this.#parts;
    const { k, v } = formats.get(part.format).bits[layer];
    return program.kernel(keyOf(part, 'attend', k, v), () => ({
      name: 'attend',
      parts: ['step', 'planes', 'lanes-memory', gpu.hasSubgroups ? 'lanes-subgroup' : 'lanes-single', 'attend-open'],
      constants: {
        ...this.#shapeConstants(part, 0),
        HEAD_TILES: this.#headTiles,
        K_BITS: k,
        V_BITS: v,
        SUBGROUP: gpu.minSubgroupSize,
      },
    }));
  }

  #mergeKernel(part: FormatPart, isTiled: boolean): GpuKernel {
    const { gpu, program, config } = this.#parts;
    const { headDim } = config.shape;
    return program.kernel(keyOf(part, isTiled ? 'mergeTiled' : 'merge'), () => ({
      name: 'merge-parts',
      parts: ['step', 'slots', 'operand-slots', 'quantize', 'operand'],
      constants: {
        ...this.#shapeConstants(part, 3),
        ...{ OPERAND_BINDING: 0, TILED: isTiled },
        THREADS: Math.min(MERGE_THREADS, gpu.limits.maxComputeInvocationsPerWorkgroup),
        WIDTH: config.numHeads * headDim,
        TRANSFORM: transformKind(part.format.v),
        FACTOR: f32(hadamardFactor(headDim)),
      },
    }));
  }

  #shapeConstants({ slot }: FormatPart, stepBinding: number): ShaderConstants {
    const { numHeads, shape } = this.#parts.config;
    const { headDim, numKvHeads } = shape;
    const sizes = { HEAD_DIM: headDim, NUM_HEADS: numHeads, NUM_KV_HEADS: numKvHeads };
    return { ...this.#parts.step.constants(slot), STEP_BINDING: stepBinding, ...sizes };
  }
}

/** Neighbouring layers that have a value in common. */
interface Run {
  readonly first: number;
  readonly count: number;
  readonly value: number;
}

/** @param bufferOf no run goes beyond one */
function runsOf(
  layers: readonly number[],
  valueOf: (layer: number) => number,
  bufferOf: (layer: number) => number,
): Run[] {
  const runs: Run[] = [];
  for (const layer of layers) {
    const last = runs.at(-1);
    const value = valueOf(layer);
    const goesOn =
      last !== undefined &&
      last.first + last.count === layer &&
      last.value === value &&
      bufferOf(last.first) === bufferOf(layer);
    if (goesOn) runs[runs.length - 1] = { ...last, count: last.count + 1 };
    else runs.push({ first: layer, count: 1, value });
  }
  return runs;
}

const JOBS = { store: 0, attend: 1, merge: 2, mergeTiled: 3 } as const;

/** Of a kernel of this format, for `GpuProgram.kernel`. */
function keyOf({ slot }: FormatPart, job: keyof typeof JOBS, kBits = 0, vBits = 0): number {
  return ((slot * 4 + JOBS[job]) * 32 + kBits) * 32 + vBits;
}

function transformKind({ rotate, transforms }: TileFormat): number {
  if (transforms) return 2;
  return rotate ? 1 : 0;
}
