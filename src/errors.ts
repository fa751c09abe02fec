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
