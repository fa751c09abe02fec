import type { ApiClient } from './api-client.ts';

/** Tokens of a text. @throws ApiError as `ApiClient.send` */
export async function countTokens(api: ApiClient, model: string, text: string, signal?: AbortSignal): Promise<number> {
  const body = { model, input: text };
  const { count } = await api.json<{ readonly count: number }>('v1/tokenize', { body, signal });
  return count;
}
