import { ApiError, errorOf } from './api-error.ts';

/** What a request may say beside its path. */
export interface ApiRequest {
  /** Sent as JSON with POST; absent: GET. */
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
  /** Whether nobody waits for it: then nobody is asked for a key. */
  readonly isPoll?: boolean;
}

/** Talks to the server that the page came from. */
export class ApiClient {
  readonly #key: () => string | undefined;
  readonly #onRefusedKey: () => void;

  /** @param onRefusedKey called whenever the server asks for a key, or for another one */
  constructor(key: () => string | undefined, onRefusedKey: () => void) {
    this.#key = key;
    this.#onRefusedKey = onRefusedKey;
  }

  /** @throws ApiError what the server refused; DOMException `AbortError` */
  async send(path: string, { body, signal, isPoll = false }: ApiRequest = {}): Promise<Response> {
    const response = await this.#fetch(path, {
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
      headers: this.#headers(body !== undefined),
      ...(signal && { signal }),
    });
    if (response.ok) return response;
    if (response.status === 401 && !isPoll) this.#onRefusedKey();
    throw await errorOf(response);
  }

  /** @throws ApiError as `send` */
  async json<T>(path: string, request?: ApiRequest): Promise<T> {
    const response = await this.send(path, request);
    return (await response.json()) as T;
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(new URL(path, document.baseURI), init);
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new ApiError('The server does not answer. Is kvant serve still running?');
    }
  }

  #headers(hasBody: boolean): Record<string, string> {
    const key = this.#key();
    return {
      ...(hasBody && { 'content-type': 'application/json' }),
      ...(key && { authorization: `Bearer ${key}` }),
    };
  }
}
