import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { errorCode } from '../errors.ts';
import { ApiError } from './api-error.ts';

/** By Node's codes: what is wrong with bytes that never became a request. */
const STATUS_TEXTS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
};

/** Answers bytes that are no request, or one that did not come to its end in time, and closes the connection. */
export function answerClientError(error: Error, socket: Socket): void {
  if (errorCode(error) === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const { statusCode, body } = clientError(errorCode(error));
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${statusCode} ${STATUS_TEXTS[statusCode]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}

/** Answers a request that expects what this server does not know; `Expect: 100-continue` is not among them. */
export function answerExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const { statusCode, body } = new ApiError(
    417,
    'this server meets no expectation but 100-continue: leave Expect out',
    {
      code: 'expectation_failed',
    },
  );
  const headers = { 'content-type': 'application/json; charset=utf-8', connection: 'close' };
  response.writeHead(statusCode, headers).end(JSON.stringify(body));
}

function clientError(code: string | undefined): ApiError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ApiError(408, 'the request took too long to arrive: send it without pauses', {
      code: 'request_timeout',
    });
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ApiError(431, 'the headers are too large', { code: 'headers_too_large' });
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new ApiError(413, 'the chunk extensions are too large', { code: 'request_too_large' });
  }
  return new ApiError(400, 'the bytes are no HTTP request', { code: 'bad_request' });
}
