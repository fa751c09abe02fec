import { openModelFile } from './model-file.ts';
import type { ModelFile } from './model-file.ts';
import { openLocalFile } from './open-file-node.ts';

/**
 * Opens the model in a local GGUF file.
 *
 * @throws KvantError MODEL_NOT_FOUND, and what `openModelFile` throws
 */
export async function openModel(path: string): Promise<ModelFile> {
  return openModelFile(await openLocalFile(path));
}
