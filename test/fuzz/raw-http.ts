import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is written to a connection: bytes, or a pause in milliseconds. */
export type Part = string | Uint8Array | number;

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Exchange {
  /** Answers that came whole. */
  readonly answers: readonly RawAnswer[];
  /** Bytes after them, of an answer that did not come to its end, or of none. */
  readonly rest: string;
  readonly wasReset: boolean;
}

export interface SendOptions {
  /** Goes without waiting for the end of an answer. */
  readonly leaves?: boolean;
  /** Whether the requests have the method HEAD, whose answers have no bodies. */
  readonly isHead?: boolean;
}

/** A server that is silent for so long has failed. */
const SILENCE_MS = 60_000;

/** Sends bytes over a connection of their own, as they are, and reads until the server closes it. */
export async function sendBytes(port: number, parts: readonly Part[], options: SendOptions = {}): Promise<Exchange> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  let wasReset = false;
  socket.on('data', (data) => chunks.push(data));
  socket.on('error', () => (wasReset = true));
  socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error('silent')));
  const closed = new Promise((resolve) => socket.on('close', resolve));
  for (const part of parts) {
    if (typeof part === 'number') await Promise.race([sleep(part), closed]);
    else if (!socket.destroyed) socket.write(part);
  }
  if (options.leaves) socket.destroy();
  await closed;
  return { ...parseAnswers(Buffer.concat(chunks).toString('latin1'), options.isHead ?? false), wasReset };
}

/** @param text bytes as characters */
function parseAnswers(text: string, isHead: boolean): Pick<Exchange, 'answers' | 'rest'> {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(rest)?.[1]);
    if (end < 0 || !status) return { answers, rest };
    const lines = rest.slice(0, end).split('\r\n').slice(1);
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const after = rest.slice(end + 4);
    const hasBody = !isHead && status !== 204 && status !== 304 && status >= 200;
    const taken = hasBody ? takeBody(after, headers) : { body: '', rest: after };
    if (!taken) return { answers, rest };
    if (status >= 200) answers.push({ status, headers, body: Buffer.from(taken.body, 'latin1').toString() });
    rest = taken.rest;
  }
}

/** @returns undefined where the body has not come to its end */
function takeBody(text: string, headers: Readonly<Record<string, string>>): { body: string; rest: string } | undefined {
  if (headers['transfer-encoding'] !== 'chunked') {
    const length = headers['content-length'] === undefined ? text.length : Number(headers['content-length']);
    return text.length < length ? undefined : { body: text.slice(0, length), rest: text.slice(length) };
  }
  let body = '';
  for (let at = 0; ;) {
    const line = text.indexOf('\r\n', at);
    const length = line < 0 ? NaN : Number.parseInt(text.slice(at, line), 16);
    const end = line + 2 + length;
    if (Number.isNaN(length) || text.length < end + 2) return undefined;
    if (length === 0) return { body, rest: text.slice(end + 2) };
    body += text.slice(line + 2, end);
    at = end + 2;
  }
}
