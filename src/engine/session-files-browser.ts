import { KvantError } from '../errors.ts';
import type { SessionFiles } from './session-files.ts';

function noFiles(): never {
  const message = 'session files need a file system, which browsers have not got: use Kvant in Node for them';
  throw new KvantError('FILE_ERROR', message);
}

/** There are none: everything says so. */
export const browserSessionFiles: SessionFiles = {
  version: async () => noFiles(),
  save: async () => noFiles(),
  open: async () => noFiles(),
  folder: () => noFiles(),
};
