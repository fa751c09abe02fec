import type { ModelFile } from '../model/model-file.ts';
import { openModel } from '../model/open-model-node.ts';

/**
 * Opens a model, and one that is to draft for it if there is one.
 *
 * @throws KvantError as `openModel`; no file is left open then
 */
export async function openModels(
  modelPath: string,
  draftModelPath: string | undefined,
): Promise<{ readonly model: ModelFile; readonly draft: ModelFile | undefined }> {
  const model = await openModel(modelPath);
  try {
    return { model, draft: draftModelPath === undefined ? undefined : await openModel(draftModelPath) };
  } catch (error) {
    await model.file.close();
    throw error;
  }
}
