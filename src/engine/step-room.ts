import type { EngineRun } from './engine-run.ts';
import type { TenantCounters } from './fairness.ts';
import type { PageSupply } from './page-supply.ts';
import { chooseVictim, outranks, type Rank } from './preemption.ts';
import type { QueuePolicy } from './queue-order.ts';
import type { PlannedSegment } from './scheduler.ts';
import { pagesOf } from './sequence.ts';

export interface StepRoomOptions {
  readonly supply: PageSupply;
  readonly policy: QueuePolicy;
  readonly tenantQuotaUnits: number | undefined;
  /** Takes a run's pages away. It is no longer among the running ones afterwards. */
  readonly preempt: (run: EngineRun) => void;
}

/** Gets a step its pages: evicts what nobody uses, and preempts where that is not enough. */
export class StepRoom {
  readonly #options: StepRoomOptions;

  constructor(options: StepRoomOptions) {
    this.#options = options;
  }

  /**
   * Reserves the pages of planned segments, the highest ranked sequence first.
   *
   * @param running by id; those that are preempted are taken out by `preempt`
   * @returns the segments that have their pages
   */
  reserve(
    plan: readonly PlannedSegment[],
    running: ReadonlyMap<number, EngineRun>,
    counters: TenantCounters,
  ): PlannedSegment[] {
    const runOf = (id: number): EngineRun => running.get(id) as EngineRun;
    const ranked = [...plan].sort((a, b) => (outranks(this.#rank(runOf(a.id)), this.#rank(runOf(b.id))) ? -1 : 1));
    const reserved = new Set<number>();
    for (const { id, numTokens, numDraft } of ranked) {
      const run = running.get(id);
      if (!run || !this.#makeRoomFor(run, numTokens + numDraft, running, counters)) continue;
      pagesOf(run.sequence).reserve(numTokens + numDraft);
      reserved.add(id);
    }
    return plan.filter(({ id }) => reserved.has(id) && running.has(id));
  }

  /** @returns false if the run waits: it was preempted itself, or others have to end first */
  #makeRoomFor(
    run: EngineRun,
    numTokens: number,
    running: ReadonlyMap<number, EngineRun>,
    counters: TenantCounters,
  ): boolean {
    const { supply } = this.#options;
    for (;;) {
      const numUnits = pagesOf(run.sequence).unitsToReserve(numTokens);
      if (numUnits === 0) return true;
      const isOverQuota = !this.#keepsQuota(run, numUnits, running);
      if (!isOverQuota && supply.makeRoom(numUnits)) return true;
      const rivals = [...running.values()].filter((other) => !isOverQuota || other.tenant === run.tenant);
      const victim = chooseVictim(
        rivals.map((other) => this.#pages(other)),
        this.#rank(run),
        counters,
      );
      if (victim === undefined) return false;
      this.#options.preempt(running.get(victim) as EngineRun);
      if (victim === run.sequence.id) return false;
    }
  }

  #keepsQuota(run: EngineRun, numUnits: number, running: ReadonlyMap<number, EngineRun>): boolean {
    const { supply, tenantQuotaUnits } = this.#options;
    if (tenantQuotaUnits === undefined) return true;
    const own = [...running.values()].filter(({ tenant }) => tenant === run.tenant);
    const pages = own.map(({ sequence }) => pagesOf(sequence));
    return supply.limitTenant(run.tenant, Math.max(0, tenantQuotaUnits - numUnits), pages);
  }

  #rank({ sequence, priority }: EngineRun): Rank {
    return { id: sequence.id, arrival: sequence.id, priority: this.#options.policy === 'priority' ? priority : 0 };
  }

  #pages(run: EngineRun) {
    const numUnits = this.#options.supply.unitsOf(new Set(pagesOf(run.sequence).ownedPages()));
    return { ...this.#rank(run), tenant: run.tenant, numUnits, isPreemptible: true };
  }
}
