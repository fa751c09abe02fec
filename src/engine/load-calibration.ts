import { checkCalibration, gainsByCalibration, type Calibration } from '../calibration/calibration.ts';
import { KvantError } from '../errors.ts';
import { modelFingerprint } from '../model/fingerprint.ts';
import type { ModelFile } from '../model/model-file.ts';

/** What `calibration` may be beside a path: no calibration, not even one that lies beside the model. */
export const NO_CALIBRATION = 'none';

/** Where files of text come from. */
export interface TextFiles {
  /** The file's text; undefined if there is no such file. @throws KvantError FILE_ERROR */
  readTextFile(path: string): Promise<string | undefined>;
}

/**
 * The calibration to load a model with: the file that was asked for, or else the one that lies beside the model under its name, ending in
 * `.kvant.json` instead of `.gguf`. Formats that gain nothing by one read none.
 *
 * @param option a path, `none`, or undefined for what lies beside the model
 * @param fingerprint of the model, where it is known; its file has to be open otherwise
 * @throws KvantError FILE_ERROR, CALIBRATION_INVALID, CALIBRATION_MISMATCH
 */
export async function loadCalibration(
  model: ModelFile,
  option: string | undefined,
  kv: string,
  files: TextFiles,
  fingerprint?: string,
): Promise<Calibration | undefined> {
  if (option === NO_CALIBRATION || !gainsByCalibration(kv)) return undefined;
  const path = option ?? pathBeside(model.file.name);
  const text = await files.readTextFile(path);
  if (text === undefined) {
    if (option === undefined) return undefined;
    throw new KvantError('FILE_ERROR', `cannot read the calibration "${path}": no such file or directory`);
  }
  // Loaded when it is wanted: most models have none.
  const { parseCalibration } = await import('../calibration/calibration-file.ts');
  const calibration = parseCalibration(path, text);
  checkCalibration(calibration, fingerprint ?? (await modelFingerprint(model.file)), model.hyperparameters);
  return calibration;
}

export function pathBeside(modelPath: string): string {
  return `${modelPath.replace(/\.gguf$/i, '')}.kvant.json`;
}
