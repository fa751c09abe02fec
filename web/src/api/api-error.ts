/** What the server refused, or that it did not answer; the message is for the reader of the page. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Of HTTP; undefined where nothing came back. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** What a server of OpenAI's kind says when it refuses. */
interface ErrorBody {
  readonly error?: { readonly message?: string };
}

/** The error that an answer with a status of 400 or more tells. */
export async function errorOf(response: Response): Promise<ApiError> {
  const said = await response
    .json()
    .then((body: ErrorBody) => body.error?.message)
    .catch(() => undefined);
  return new ApiError(inWords(response, said), response.status);
}

function inWords(response: Response, said: string | undefined): string {
  const { status } = response;
  if (status === 401) return 'The server asks for an API key.';
  if (status === 429) return `The server is busy${waitOf(response)}.${said ? ` It says: ${said}` : ''}`;
  if (status === 413) return said ?? 'That is more than the server takes at once. Send less text.';
  if (said) return said;
  return status >= 500 ? `The server failed (status ${status}).` : `The server refused this (status ${status}).`;
}

function waitOf(response: Response): string {
  const seconds = Number(response.headers.get('retry-after'));
  return seconds > 0 ? `; try again in ${seconds} s` : '';
}
