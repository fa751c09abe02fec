import { BlobFile } from '../model/blob-file.ts';
import { download, type DownloadProgress } from '../model/download.ts';
import { openModelFile, type ModelFile } from '../model/model-file.ts';
import type { EngineLoadOptions } from './protocol.ts';

/**
 * Opens a model, and one that is to draft for it if there is one. What is not there yet is downloaded first.
 *
 * @throws KvantError as `download` and `openModelFile`
 */
export async function openModels(
  { modelPath, modelData, draftModelPath, draftModelData }: EngineLoadOptions,
  onDownload: (progress: DownloadProgress) => void,
): Promise<{ readonly model: ModelFile; readonly draft: ModelFile | undefined }> {
  const open = async (path: string, data: Blob | undefined): Promise<ModelFile> =>
    openModelFile(new BlobFile(path, data ?? (await download(path, onDownload))));
  const model = await open(modelPath, modelData);
  return { model, draft: draftModelPath === undefined ? undefined : await open(draftModelPath, draftModelData) };
}
