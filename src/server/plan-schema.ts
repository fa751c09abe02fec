import * as z from 'zod';
import { count } from './answer-schema.ts';

const bytes = count.describe('Bytes');

const formatPlan = z.object({
  kv: z.string(),
  bits_per_element: z.number(),
  weight_bytes: bytes,
  page_bytes: bytes,
  scratch_bytes: bytes,
  runtime_bytes: bytes,
  total_bytes: bytes,
  fits: z.boolean(),
  longest_ctx: count,
  most_users: count,
});

/** Of `PlanReport` in engine/plan-report.ts. */
export const planReportSchema = z.object({
  model: z.string(),
  architecture: z.string(),
  num_parameters: count,
  context_length: count,
  ctx: count,
  users: count,
  backend: z.string(),
  threads: count,
  draft_model: z.string().nullable(),
  limits: z.array(z.object({ name: z.string(), bytes: z.number(), of: z.enum(['addresses', 'process']) })).readonly(),
  formats: z.array(formatPlan).readonly(),
  choice: z.object({ kv: z.string(), reason: z.string() }).nullable(),
  fixes: z
    .array(z.object({ users: count.optional(), ctx: count.optional(), kv: z.string().optional() }))
    .readonly()
    .describe('Where no format fits: what would'),
});
