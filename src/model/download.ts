import { KvantError } from '../errors.ts';
import { formatBytes, quote } from './messages.ts';

/** How far a download has come. */
export interface DownloadProgress {
  readonly url: string;
  readonly loadedBytes: number;
  /** Undefined where the server does not tell. */
  readonly totalBytes: number | undefined;
}

/**
 * Downloads a file whole. Large ones need not fit into memory, since a browser keeps blobs where it likes.
 *
 * @param url absolute
 * @param onProgress called with each piece that arrives
 * @throws KvantError MODEL_NOT_FOUND, MODEL_TRUNCATED if the connection breaks off, FILE_ERROR
 */
export async function download(url: string, onProgress: (progress: DownloadProgress) => void): Promise<Blob> {
  const response = await request(url);
  const totalBytes = lengthOf(response);
  let loadedBytes = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      loadedBytes += chunk.length;
      onProgress({ url, loadedBytes, totalBytes });
      controller.enqueue(chunk);
    },
  });
  const body = response.body?.pipeThrough(count);
  const blob = await readAll(body).catch((cause: unknown) => cutShort(url, loadedBytes, totalBytes, cause));
  if (totalBytes !== undefined && blob.size < totalBytes) cutShort(url, blob.size, totalBytes);
  return blob;
}

async function request(url: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    const message = `${quote(url)} cannot be fetched (${String(cause)}): check the address, and that its server allows this page to read it (CORS)`;
    throw new KvantError('FILE_ERROR', message, { cause });
  }
  if (response.ok) return response;
  const { status } = response;
  if (status === 404 || status === 410) {
    throw new KvantError('MODEL_NOT_FOUND', `there is nothing at ${quote(url)} (status ${status}): check the address`);
  }
  const message = `${quote(url)} is refused (status ${status}): check that you may read it, or try again later`;
  throw new KvantError('FILE_ERROR', message);
}

/** What is sent, unless it is sent compressed: then its length is another one. */
function lengthOf({ headers }: Response): number | undefined {
  const length = headers.get('content-length');
  return length === null || headers.has('content-encoding') ? undefined : Number(length);
}

async function readAll(body: ReadableStream<Uint8Array> | undefined): Promise<Blob> {
  return new Response(body ?? null).blob();
}

function cutShort(url: string, loadedBytes: number, totalBytes: number | undefined, cause?: unknown): never {
  const of = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`;
  const message = `the download of ${quote(url)} broke off after ${formatBytes(loadedBytes)}${of}: try again`;
  throw new KvantError('MODEL_TRUNCATED', message, { cause });
}
