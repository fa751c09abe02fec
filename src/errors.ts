/**
 * What went wrong, as one word that programs can test. The message says what and where, and names the fix.
 */
export type ErrorCode =
  | 'MODEL_NOT_FOUND'
  | 'MODEL_NOT_GGUF'
  | 'MODEL_TRUNCATED'
  | 'MODEL_INVALID'
  | 'MODEL_UNSUPPORTED'
  | 'OUT_OF_MEMORY'
  | 'INVALID_OPTION'
  | 'INVALID_INPUT'
  | 'PROMPT_TOO_LONG'
  | 'CALIBRATION_INVALID'
  | 'CALIBRATION_MISMATCH'
  | 'SESSION_INVALID'
  | 'SESSION_MISMATCH'
  | 'FILE_ERROR'
  | 'BACKEND_UNAVAILABLE'
  | 'ENGINE_FAILED'
  | 'ENGINE_CLOSED';

/** Every error that Kvant throws on purpose. */
export class KvantError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KvantError';
    this.code = code;
  }
}

/** By the system's code. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is exceeded',
  EROFS: 'the file system is read-only',
  EFBIG: 'the file would be too large',
  EMFILE: 'too many open files',
};

/** Why a file operation failed, in words. */
export function fileErrorReason(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined && Object.hasOwn(REASONS, code)) return REASONS[code];
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
