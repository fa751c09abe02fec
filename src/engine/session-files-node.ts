import { CacheFolder } from '../sessions/cache-folder-node.ts';
import { KvpFile, saveKvp } from '../sessions/kvp-file-node.ts';
import type { SessionFiles } from './session-files.ts';
import { kvantVersion } from './version-node.ts';

/** Session files on the disk. */
export const nodeSessionFiles: SessionFiles = {
  version: kvantVersion,
  save: (path, header, pages) => saveKvp(path, header, pages),
  open: (path) => KvpFile.open(path),
  folder: (path) => new CacheFolder(path),
};
