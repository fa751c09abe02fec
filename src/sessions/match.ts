import { KvantError } from '../errors.ts';
import type { KvpHeader, KvpIdentity } from './kvp-header.ts';

/**
 * Checks that the pages of a file are what an engine would have computed itself.
 *
 * @param name of the file, for messages
 * @param engine what the engine has loaded
 * @throws KvantError SESSION_MISMATCH that names what differs and what to do
 */
export function checkKvpMatch(name: string, header: KvpHeader, engine: KvpIdentity): void {
  refuse(name, difference(header, engine));
}

/** The part of it that needs no format. @throws KvantError SESSION_MISMATCH */
export function checkKvpModel(name: string, header: KvpHeader, engine: Pick<KvpIdentity, ModelField>): void {
  refuse(name, modelDifference(header, engine));
}

type ModelField = 'modelName' | 'modelFingerprint';
type Difference = readonly [string, string];

function refuse(name: string, found: Difference | undefined): void {
  if (found === undefined) return;
  const [what, fix] = found;
  const message = `the session file "${name}" ${what}: ${fix}, or use another file`;
  throw new KvantError('SESSION_MISMATCH', message);
}

function modelDifference(header: KvpHeader, engine: Pick<KvpIdentity, ModelField>): Difference | undefined {
  if (header.modelFingerprint === engine.modelFingerprint) return undefined;
  const [theirs, ours] = [header, engine].map(
    ({ modelName, modelFingerprint }) => `${JSON.stringify(modelName)} (${modelFingerprint.slice(0, 15)}…)`,
  );
  return [`is of the model ${theirs}, and ${ours} is loaded`, 'load its model with option "model"'];
}

/** What differs, the most telling first, and the fix. */
function difference(header: KvpHeader, engine: KvpIdentity): Difference | undefined {
  const model = modelDifference(header, engine);
  if (model) return model;
  if (header.kvFormat !== engine.kvFormat) {
    const [theirs, ours] = [header.kvFormat, engine.kvFormat].map((format) => JSON.stringify(format));
    return [`has a cache in the format ${theirs}, not ${ours}`, `set option "kv" to ${theirs}`];
  }
  if (header.layoutVersion !== engine.layoutVersion) {
    const versions = `version ${header.layoutVersion} of the page format, not ${engine.layoutVersion}`;
    return [`has pages in ${versions}`, 'use the Kvant that wrote it'];
  }
  for (const field of ['pageSize', 'numSinkTokens', 'sealedPageBytes', 'sinkPageBytes', 'identity'] as const) {
    if (header[field] === engine[field]) continue;
    const what = field === 'identity' ? 'identity' : `${field} (${header[field]}, not ${engine[field]})`;
    return [
      `was made with the same weights and format, but differs in ${what}`,
      'load the model as it was then (calibration, tokenizer, backend, version of Kvant)',
    ];
  }
  return undefined;
}
