import { rootKey } from '../cache/prefix-key.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import { planAudit, type AnsweredRequest } from './audit-plan.ts';
import { AuditResults } from './audit-results.ts';
import { AuditRun } from './audit-run.ts';
import type { ForwardModel } from './forward-model.ts';
import { KvMemory, type KvCache } from './kv-memory.ts';
import type { AuditStats } from './stats-types.ts';
import { StepPace } from './step-pace.ts';

export interface AuditorParts {
  readonly kernels: Kernels;
  readonly model: ForwardModel;
  /** The format f16, as the engine has it. */
  readonly reference: KvFormat;
  /** Of so many requests that end with an answer, one is audited. */
  readonly every: number;
  /** Size of the page memory for it, see `auditBytes`. */
  readonly numBytes: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/**
 * Measures what the KV format costs while an engine serves: runs one request in so many again when the engine has nothing else to do, and takes the KL
 * divergence of its answer's positions to what an f16 cache makes of the same tokens. It has pages of its own, so that no request loses any for it, and
 * nothing of a request is kept but its tokens until it is done. A request that comes meanwhile waits for one short step.
 */
export class Auditor {
  readonly #parts: AuditorParts;
  readonly #memory: KvMemory;
  readonly #reference: KvCache;
  readonly #results = new AuditResults();
  #numAnswered = 0;
  #running: { readonly run: AuditRun; readonly tenant: string } | undefined;
  readonly #pace: StepPace;
  readonly #comparingPace: StepPace;

  /** @throws KvantError OUT_OF_MEMORY if the backend cannot take the pages */
  constructor(parts: AuditorParts) {
    this.#parts = parts;
    // Nothing is ever put into the prefix tree of this memory.
    this.#memory = new KvMemory(parts.kernels, { numBytes: parts.numBytes, root: rootKey({}) });
    this.#reference = this.#memory.addFormat(parts.reference, rootKey({}));
    const mostTokens = Math.floor(parts.kernels.config.maxRows / 2);
    this.#pace = new StepPace(mostTokens);
    this.#comparingPace = new StepPace(mostTokens);
  }

  /** Whether an audit is under way. */
  get hasWork(): boolean {
    return this.#running !== undefined;
  }

  /** A request has ended with an answer, whose turn it may be. Between steps. */
  answered(request: AnsweredRequest): void {
    this.#numAnswered++;
    if (this.#numAnswered % this.#parts.every !== 0) return;
    // One at a time: rather none than a queue of them.
    const audit = this.#running ? undefined : this.#start(request);
    if (audit) this.#running = { run: audit, tenant: request.tenant };
    else this.#results.skip(request.tenant);
  }

  /** Takes a short step of the audit that is under way. @throws KvantError ENGINE_FAILED */
  async step(): Promise<void> {
    if (!this.#running) return;
    const { run, tenant } = this.#running;
    const startMs = this.#parts.now();
    const pace = run.isComparing ? this.#comparingPace : this.#pace;
    await run.step(pace.numTokens);
    pace.observe(this.#parts.now() - startMs);
    const { kld } = run;
    if (kld === undefined) return;
    run.release();
    this.#running = undefined;
    if (Number.isFinite(kld)) this.#results.add(tenant, kld);
    else this.#results.skip(tenant);
  }

  /** Of one tenant, or of all. */
  stats(tenant?: string): AuditStats {
    return this.#results.stats(this.#parts.every, tenant);
  }

  /** Checks that nobody but an audit that is under way owns a page. @throws PageIntegrityError with the sum that fails */
  checkPages(): void {
    this.#memory.check(this.#running ? this.#running.run.pages : []);
  }

  #start(request: AnsweredRequest): AuditRun | undefined {
    const { kernels, model } = this.#parts;
    const candidate = this.#memory.addFormat(request.format, rootKey({}));
    const [memory, reference] = [this.#memory, this.#reference];
    const plan = planAudit(request, [candidate, reference], memory.pool.numUnits);
    return plan && new AuditRun({ kernels, model, memory, reference, candidate }, plan);
  }
}
