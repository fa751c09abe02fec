import type { ModelPlan } from './plan-model.ts';

/** A plan as programs read it: what `kvant plan --json` prints and `GET /v1/plan` answers. Names are in snake case; bytes are resident, but for limits of addresses. */
export interface PlanReport {
  readonly model: string;
  readonly architecture: string;
  readonly num_parameters: number;
  readonly context_length: number;
  readonly ctx: number;
  readonly users: number;
  readonly backend: string;
  readonly threads: number;
  /** The model that drafts; its memory is in the sums. Null where there is none. */
  readonly draft_model: string | null;
  readonly limits: readonly { readonly name: string; readonly bytes: number; readonly of: 'addresses' | 'process' }[];
  readonly formats: readonly FormatReport[];
  /** Null where none fits. */
  readonly choice: { readonly kv: string; readonly reason: string } | null;
  /** Where none fits: what would. */
  readonly fixes: readonly { readonly users?: number; readonly ctx?: number; readonly kv?: string }[];
}

interface FormatReport {
  readonly kv: string;
  readonly bits_per_element: number;
  readonly weight_bytes: number;
  readonly page_bytes: number;
  readonly scratch_bytes: number;
  readonly runtime_bytes: number;
  readonly total_bytes: number;
  readonly fits: boolean;
  readonly longest_ctx: number;
  readonly most_users: number;
}

export function planReport(plan: ModelPlan): PlanReport {
  return {
    model: plan.model,
    architecture: plan.architecture,
    num_parameters: plan.numParameters,
    context_length: plan.contextLength,
    ctx: plan.ctx,
    users: plan.maxSequences,
    backend: plan.backend,
    threads: plan.threads,
    draft_model: plan.draftModel ?? null,
    limits: plan.limits,
    formats: plan.formats.map((format) => ({
      kv: format.kv,
      bits_per_element: format.bitsPerElement,
      weight_bytes: format.memory.weightBytes,
      page_bytes: format.memory.pageBytes,
      scratch_bytes: format.memory.scratchBytes,
      runtime_bytes: format.runtimeBytes,
      total_bytes: format.totalBytes,
      fits: format.fits,
      longest_ctx: format.longestCtx,
      most_users: format.mostSequences,
    })),
    choice: plan.choice ?? null,
    fixes: plan.fixes.map(({ maxSequences, ...others }) => ({
      ...(maxSequences !== undefined && { users: maxSequences }),
      ...others,
    })),
  };
}
