import type { DownloadProgress } from '../model/download.ts';
import type { LoadOptions } from './types.ts';

/** A GGUF file: its URL, relative to the page or absolute; a file that somebody has chosen; or its bytes. */
export type ModelSource = string | URL | Blob | ArrayBuffer | Uint8Array<ArrayBuffer>;

/** As in Node, but that files are given by their URLs or contents, and that there are no folders. */
export interface BrowserLoadOptions extends Omit<
  LoadOptions,
  'model' | 'draftModel' | 'calibration' | 'swap' | 'swapFolder'
> {
  readonly model: ModelSource;
  readonly draftModel?: ModelSource;
  /** URL of a calibration file. Default: none is used. */
  readonly calibration?: string | URL;
  readonly swap?: 'none' | 'memory';
  /** Called as a model comes over the network, before its weights are read. */
  readonly onDownload?: (progress: DownloadProgress) => void;
}
