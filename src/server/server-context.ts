import type { FastifyBaseLogger } from 'fastify';
import type { Model } from '../engine/types.ts';
import type { AnswerDefaults } from './generate-options.ts';
import type { Planner } from '../engine/plan-node.ts';
import type { ServerMetrics } from './metrics-node.ts';
import type { Conversations } from './conversations.ts';
import type { RequestGate } from './request-gate.ts';

/** What routes know of their server. */
export interface ServerContext {
  readonly model: Model;
  /** The name that clients ask for. */
  readonly modelId: string;
  readonly version: string;
  /** Seconds since 1970 at which the server started. */
  readonly startedAt: number;
  readonly answers: AnswerDefaults;
  readonly gate: RequestGate;
  readonly conversations: Conversations;
  /** Aborts of the answers under way. */
  readonly running: Set<AbortController>;
  readonly metrics: ServerMetrics;
  /** Of the model; read when it is asked for first. */
  planner(this: void): Promise<Planner>;
  /** How long a reader may leave a stream unread. */
  readonly slowReaderMs: number;
  readonly log: FastifyBaseLogger;
}
