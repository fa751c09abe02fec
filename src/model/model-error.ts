import { KvantError } from '../errors.ts';
import { quote } from './messages.ts';

/** MODEL_UNSUPPORTED: the file is sound, but Kvant does not run it. The reason follows the file's name. */
export function unsupportedModel(fileName: string, reason: string): KvantError {
  return new KvantError('MODEL_UNSUPPORTED', `${quote(fileName)} ${reason}`);
}

/** MODEL_INVALID: the file contradicts itself. The reason follows the file's name. */
export function invalidModel(fileName: string, reason: string): KvantError {
  return new KvantError('MODEL_INVALID', `${quote(fileName)} ${reason}: download or convert it again`);
}
