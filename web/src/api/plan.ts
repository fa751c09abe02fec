/** What `GET /v1/plan` tells, as `kvant plan --json` does. */
export interface PlanReport {
  readonly model: string;
  readonly ctx: number;
  readonly users: number;
  readonly formats: readonly PlannedFormat[];
  readonly choice: { readonly kv: string; readonly reason: string } | null;
  readonly fixes: readonly { readonly users?: number; readonly ctx?: number; readonly kv?: string }[];
}

export interface PlannedFormat {
  readonly kv: string;
  readonly bits_per_element: number;
  readonly page_bytes: number;
  readonly total_bytes: number;
  readonly fits: boolean;
  readonly longest_ctx: number;
}

/** Path of the plan for a context and a memory such as `2GB`; what is undefined is the server's own. */
export function planPath(ctx: number | undefined, memory: string | undefined): string {
  const query = new URLSearchParams();
  if (ctx !== undefined) query.set('ctx', String(ctx));
  if (memory !== undefined) query.set('memory', memory);
  return `v1/plan?${query.toString()}`;
}
