import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServerContext } from './server-context.ts';

/** A request for answers that has been let in. */
export interface Job {
  /** Aborts when the client leaves, reads too slowly, or the server ends. */
  readonly signal: AbortSignal;
  abort(): void;
  /** Leaves. Further calls do nothing. */
  end(): void;
}

/**
 * Lets a request in, until it ends or its client leaves.
 *
 * @param param the field that says how many answers
 * @throws ApiError where there is no room
 */
export function beginJob(
  { gate, running }: Pick<ServerContext, 'gate' | 'running'>,
  request: FastifyRequest,
  reply: FastifyReply,
  numAnswers: number,
  param = 'n',
): Job {
  const leave = gate.enter(request.tenant.id, numAnswers, param);
  const controller = new AbortController();
  running.add(controller);
  const end = (): void => {
    running.delete(controller);
    leave();
  };
  const leaveEarly = (): void => {
    controller.abort();
    end();
  };
  if (reply.raw.closed) leaveEarly();
  else reply.raw.once('close', leaveEarly);
  return { signal: controller.signal, abort: () => controller.abort(), end };
}
