import { KvantError, type ErrorCode } from '../errors.ts';
import type { ApiErrorType, ErrorBody } from './answer-schema.ts';

export interface ApiErrorOptions {
  readonly param?: string;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What has failed, for the log. */
  readonly cause?: unknown;
}

/** An error whose message is for the client. */
export class ApiError extends Error {
  /** Of HTTP. Fastify reads it under this name. */
  readonly statusCode: number;
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(statusCode: number, message: string, { param, code, headers = {}, cause }: ApiErrorOptions = {}) {
    super(message, { cause });
    this.name = 'ApiError';
    this.statusCode = statusCode;
    this.param = param;
    this.code = code;
    this.headers = headers;
  }

  get body(): ErrorBody {
    const { message, param = null, code = null } = this;
    return { error: { message, type: typeOf(this.statusCode), param, code } };
  }
}

/** A request with a field that is wrong. */
export function invalidRequest(param: string, message: string, code = 'invalid_value'): ApiError {
  return new ApiError(400, message, { param, code });
}

/** A request for something that OpenAI has and this server does not. */
export function unsupported(param: string, message: string): ApiError {
  return new ApiError(400, message, { param, code: 'unsupported_parameter' });
}

/** The end of answers because the server ends. */
export function shuttingDown(): ApiError {
  const headers = { 'retry-after': '5' };
  return new ApiError(503, 'the server is shutting down: try again later', { code: 'server_shutting_down', headers });
}

/**
 * What a client is told of any error: what the engine refuses with its reason, and nothing of what is a failure of the server.
 *
 * @param promptParam the field that holds the prompt
 */
export function toApiError(error: unknown, promptParam?: string): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof KvantError && CLIENT_ERRORS.has(error.code)) return fromKvantError(error, promptParam);
  if (error instanceof KvantError && error.code === 'ENGINE_CLOSED') return shuttingDown();
  return (
    fromFastify(error) ??
    new ApiError(500, 'the server failed: its log tells why', { code: 'internal_error', cause: error })
  );
}

/** What a request can bring about. */
const CLIENT_ERRORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['INVALID_OPTION', 'INVALID_INPUT', 'PROMPT_TOO_LONG', 'OUT_OF_MEMORY', 'MODEL_UNSUPPORTED'] as const),
  ...(['MODEL_INVALID', 'CALIBRATION_INVALID', 'CALIBRATION_MISMATCH', 'FILE_ERROR'] as const),
]);

function fromKvantError({ code, message }: KvantError, promptParam?: string): ApiError {
  const param = promptParam === undefined ? {} : { param: promptParam };
  if (code === 'PROMPT_TOO_LONG' || code === 'OUT_OF_MEMORY') {
    return new ApiError(400, message, { ...param, code: 'context_length_exceeded' });
  }
  if (!NAMES_FILES.has(code)) return invalidOption(message);
  const told = 'this KV format needs a calibration that the server does not have';
  return new ApiError(400, told, { param: 'kvant.kv', code: 'unsupported_value' });
}

/** By options of the engine: fields of requests. */
const FIELDS: Readonly<Record<string, string>> = {
  ...{ kv: 'kvant.kv', topK: 'kvant.top_k', minP: 'kvant.min_p', repetitionPenalty: 'kvant.repetition_penalty' },
  ...{ responseFormat: 'response_format', logitBias: 'logit_bias', topLogProbs: 'top_logprobs', stop: 'stop' },
  ...{ messages: 'messages', prompt: 'prompt', tokens: 'prompt', temperature: 'temperature', topP: 'top_p' },
};

/** The engine calls options as programs spell them: `option "logitBias"` is `logit_bias`. */
function invalidOption(message: string): ApiError {
  let param: string | undefined;
  const told = message.replace(/\boption "(\w+)([^"]*)"/, (text, name: string, rest: string) => {
    if (!Object.hasOwn(FIELDS, name)) return text;
    param = FIELDS[name] + rest;
    return `'${param}'`;
  });
  return new ApiError(400, told, { code: 'invalid_value', ...(param !== undefined && { param }) });
}

/** Whose messages may name files of the server. */
const NAMES_FILES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CALIBRATION_INVALID',
  'CALIBRATION_MISMATCH',
  'FILE_ERROR',
]);

/** By Fastify's codes: what clients can do wrong before a route is reached. */
const FASTIFY_ERRORS: Readonly<Record<string, { readonly status: number; readonly code: string; message: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    ...{ status: 415, code: 'unsupported_media_type' },
    message: 'the body must be JSON: send it with the header Content-Type: application/json',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    ...{ status: 413, code: 'request_too_large' },
    message: 'the body is too large: send fewer or shorter messages',
  },
  FST_ERR_BAD_URL: { status: 400, code: 'bad_request', message: 'the path is not encoded as one of a URL has to be' },
  FST_ERR_MAX_PARAM_LENGTH: { status: 414, code: 'bad_request', message: 'a name in the path is too long' },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    ...{ status: 400, code: 'invalid_json' },
    message: 'the body is empty: send a JSON object',
  },
  FST_ERR_CTP_INVALID_JSON_BODY: { status: 400, code: 'invalid_json', message: 'the body is not valid JSON' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    ...{ status: 400, code: 'invalid_content_length' },
    message: 'the body is not as long as its Content-Length says',
  },
};

function fromFastify(error: unknown): ApiError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode } = error as { readonly code?: unknown; readonly statusCode?: unknown };
  if (typeof code === 'string' && Object.hasOwn(FASTIFY_ERRORS, code)) {
    const known = FASTIFY_ERRORS[code];
    return new ApiError(known.status, known.message, { code: known.code });
  }
  if (error instanceof SyntaxError && statusCode === 400) {
    return new ApiError(400, FASTIFY_ERRORS['FST_ERR_CTP_INVALID_JSON_BODY'].message, { code: 'invalid_json' });
  }
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode >= 500) return undefined;
  return new ApiError(statusCode, 'the request cannot be understood', { code: 'bad_request' });
}

function typeOf(status: number): ApiErrorType {
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}
