import type { FastifyReply } from 'fastify';
import type { GenerateResult } from '../engine/types.ts';

/** What a request's line in the log tells of its answers: counts, never a text. */
export interface LoggedUsage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

declare module 'fastify' {
  interface FastifyReply {
    loggedUsage: LoggedUsage | undefined;
  }
}

export function noteUsage(reply: FastifyReply, results: readonly GenerateResult[]): void {
  const sum = (of: (result: GenerateResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  reply.loggedUsage = {
    promptTokens: sum(({ promptTokens }) => promptTokens),
    cachedTokens: sum(({ cachedTokens }) => cachedTokens),
    completionTokens: sum(({ completionTokens }) => completionTokens),
  };
}
