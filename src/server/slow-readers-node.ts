import { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Drops readers of whole answers that take nothing of what was sent for so long. Streams have a watch of their own, as they may rest. */
export function dropSlowReaders(app: FastifyInstance, slowReaderMs: number): void {
  app.addHook('onSend', async (_, reply, payload) => {
    const { socket } = reply.raw;
    const isWhole = typeof payload === 'string' || payload instanceof Uint8Array;
    // Node looks whether anything has left meanwhile, and closes the connection if not. With the answer's end the timeout is that of idle connections again.
    if (isWhole && socket instanceof Socket) socket.setTimeout(slowReaderMs);
  });
}
