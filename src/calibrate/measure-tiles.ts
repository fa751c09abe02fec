import type { KvShape } from '../cache/page-layout.ts';
import { resolveKvFormat, type Calibration } from '../calibration/calibration.ts';
import { KvMemory } from '../engine/kv-memory.ts';
import { logSoftmax } from '../engine/log-softmax.ts';
import { klDivergence } from '../engine/kl-divergence.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { Transformer } from '../model/transformer.ts';
import type { KvFormat, TileBits, TileKind } from '../quant/kv-format.ts';
import type { TileLoss } from './learn-upgrades.ts';

/** A model on kernels of a format. */
export interface RunningModel {
  readonly kernels: Kernels;
  readonly transformer: Transformer;
  readonly close: () => Promise<void>;
}

export interface MeasureTilesOptions {
  readonly calibration: Calibration;
  /** The text, a few pages of tokens: losses are measured from its middle on. */
  readonly tokens: readonly number[];
  /** Loads the model in a format, with float32 activations: roundings of others would hide what a tile loses. */
  readonly open: (format: KvFormat) => Promise<RunningModel>;
  readonly onTile?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Every second position is looked at: its neighbours tell the same, and rows over the vocabulary are large. */
const POSITION_STRIDE = 2;

/**
 * Measures what each layer's tiles of each kind lose on their own: all others stay in f16.
 *
 * @throws the signal's reason if it aborts, and what `open` throws
 */
export async function measureTiles(shape: KvShape, options: MeasureTilesOptions): Promise<TileLoss[]> {
  const { tokens, calibration } = options;
  const first = Math.floor(tokens.length / 2);
  const positions = tokens.map((_, i) => i).filter((i) => i >= first && (i - first) % POSITION_STRIDE === 0);
  const reference = await collectRows(await options.open(formatOf(shape, calibration, undefined)), tokens, positions);
  const losses: TileLoss[] = [];
  for (const kind of ['k', 'v'] as const) {
    for (let layer = 0; layer < shape.numLayers; layer++) {
      const lossOf = async (bits: TileBits): Promise<number> => {
        options.signal?.throwIfAborted();
        const model = await options.open(formatOf(shape, calibration, { kind, layer, bits }));
        let sum = 0;
        await runRows(model, tokens, positions, (row, i) => (sum += klDivergence(reference[i], logSoftmax(row))));
        return sum / positions.length;
      };
      losses.push({ kind, layer, at2Bits: await lossOf(2), at4Bits: await lossOf(4) });
      options.onTile?.(losses.length, 2 * shape.numLayers);
    }
  }
  return losses;
}

/** Everything in f16, but for one layer's tiles of one kind. */
function formatOf(
  shape: KvShape,
  calibration: Calibration,
  tile: { readonly kind: TileKind; readonly layer: number; readonly bits: TileBits } | undefined,
): KvFormat {
  const layerBits = Array.from({ length: shape.numLayers }, (_, layer) => {
    const bitsOf = (kind: TileKind): TileBits => (tile?.layer === layer && tile.kind === kind ? tile.bits : 16);
    return { k: bitsOf('k'), v: bitsOf('v') };
  });
  return { ...resolveKvFormat('q2', shape, calibration), layerBits };
}

async function collectRows(
  model: RunningModel,
  tokens: readonly number[],
  positions: readonly number[],
): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  await runRows(model, tokens, positions, (row) => rows.push(logSoftmax(row)));
  return rows;
}

/** Runs a text and calls with the logits at each of the positions, which are valid during the call. Closes the model. */
async function runRows(
  { kernels, transformer, close }: RunningModel,
  tokens: readonly number[],
  positions: readonly number[],
  onRow: (logits: Float32Array, index: number) => void,
): Promise<void> {
  try {
    const memory = KvMemory.forSequence(kernels, tokens.length);
    const sequence = memory.createSequence();
    let next = 0;
    while (sequence.numTokens < tokens.length) {
      const first = sequence.numTokens;
      const numRows = Math.min(sequence.numTokensToFull, tokens.length - first, kernels.config.maxRows);
      const outputRows: number[] = [];
      for (let i = next; i < positions.length && positions[i] < first + numRows; i++)
        outputRows.push(positions[i] - first);
      sequence.reserve(numRows);
      const segments = [{ ...sequence.segment(numRows), firstRow: 0, numRows, pages: memory.defaultCache.pages }];
      await transformer.forward({
        tokenIds: tokens.slice(first, first + numRows),
        segments,
        outputRows,
      });
      outputRows.forEach((_, row) => onRow(kernels.readRow(transformer.logits, row), next + row));
      next += outputRows.length;
      sequence.commit(numRows);
    }
  } finally {
    await close();
  }
}
