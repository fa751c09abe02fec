/** Kvant in a browser: `load` is where to begin, as in Node. */

export { load } from './engine/load-browser.ts';
export { KvantError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { BrowserLoadOptions, ModelSource } from './engine/browser-types.ts';
export type { DownloadProgress } from './model/download.ts';
export type * from './engine/output-types.ts';
export type * from './engine/session-types.ts';
export type * from './engine/stats-types.ts';
export type * from './engine/types.ts';
export type { BackendDescription, MemoryUsage } from './kernels/kernels.ts';
export { dequantize, quantize } from './quant/quantize.ts';
export type { QuantizedTensor } from './quant/quantize.ts';
export type { CodeBits } from './quant/bit-planes.ts';
export type { GroupGranularity, GroupOptions, GroupSize, QuantizeOptions, TileOptions } from './quant/granularity.ts';
export type { GroupedTensor } from './quant/grouped-tensor.ts';
export type { Tensor, TensorInput } from './quant/tensor.ts';
export type { TiledTensor } from './quant/tiled-tensor.ts';
