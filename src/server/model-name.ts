import { ApiError } from './api-error.ts';

/** A name that stands for whatever model a server has, so that examples need not know it. */
export const ANY_MODEL = 'kvant';

/** The model's name as clients write it, from its file's: `models/SmolLM2-135M-Instruct.Q4_0.gguf` is `smollm2-135m-instruct.q4_0`. */
export function modelIdOf(path: string): string {
  const id = path
    .replace(/^.*[/\\]/, '')
    .toLowerCase()
    .replace(/\.gguf$/, '')
    .replace(/[^a-z0-9._]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return id === '' ? ANY_MODEL : id;
}

/** Refuses requests for another model; one that names none gets the server's. @throws ApiError 404 */
export function checkModelName(asked: string | null | undefined, modelId: string): void {
  if (asked === undefined || asked === null || asked === modelId || asked === ANY_MODEL) return;
  const message = `the model '${shorten(asked)}' does not exist: this server has '${modelId}', which '${ANY_MODEL}' means, too`;
  throw new ApiError(404, message, { param: 'model', code: 'model_not_found' });
}

const MAX_SHOWN_CHARS = 60;

function shorten(name: string): string {
  return name.length > MAX_SHOWN_CHARS ? `${name.slice(0, MAX_SHOWN_CHARS)}…` : name;
}
