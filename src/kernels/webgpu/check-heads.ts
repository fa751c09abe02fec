import { KvantError } from '../../errors.ts';

const MOST_CHANNELS = 256;
/** Tokens of a tile, and threads that seal it (shaders/seal.wgsl). */
const SEALED_TOKENS = 64;
const SEALING_THREADS = 256;

/**
 * Whether shaders have heads of so many channels, and the device room to seal their tiles.
 *
 * @param workgroupBytes memory that a workgroup has at most
 * @throws KvantError MODEL_UNSUPPORTED
 */
export function checkHeads(headDim: number, workgroupBytes: number): void {
  if (headDim % 16 !== 0 || headDim > MOST_CHANNELS) {
    const message = `heads of ${headDim} channels: the webgpu backend needs a multiple of 16, at most ${MOST_CHANNELS}; use --backend wasm`;
    throw new KvantError('MODEL_UNSUPPORTED', message);
  }
  const needed = sealingBytes(headDim);
  if (needed > workgroupBytes) {
    const message = `heads of ${headDim} channels: sealing them takes ${needed} bytes of workgroup memory, and this GPU has ${workgroupBytes}; use --backend wasm`;
    throw new KvantError('MODEL_UNSUPPORTED', message);
  }
}

/** A byte for each code; what rows count from and step by, their means, and numbers that become bytes; factors of tokens; sums of threads. */
function sealingBytes(headDim: number): number {
  const mostRows = Math.max(SEALED_TOKENS, headDim);
  return SEALED_TOKENS * headDim + 4 * 4 * mostRows + 4 * SEALED_TOKENS + 16 * SEALING_THREADS;
}
