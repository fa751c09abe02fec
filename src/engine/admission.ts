import { numSealedPages, unitsOfSequence, type SequencePages } from '../cache/sequence-pages.ts';
import { planAdmission } from './admission-plan.ts';
import type { ConversationCache } from './conversation-cache.ts';
import type { EngineRun } from './engine-run.ts';
import type { TenantCounters } from './fairness.ts';
import { heldBack, isSame, type RunningPrefill } from './held-back.ts';
import type { KvMemory, PrefixMatch } from './kv-memory.ts';
import type { KvSequence } from './kv-sequence.ts';
import type { PageSupply } from './page-supply.ts';
import { orderWaiting, type QueuePolicy } from './queue-order.ts';
import { kvOf, mostCachedTokens, pagesOf, type SequenceState } from './sequence.ts';
import { withinQuota } from './tenant-quota.ts';

export interface AdmissionOptions {
  readonly maxSequences: number;
  readonly policy: QueuePolicy;
  /** Most units of one tenant's pages; undefined: no limit. */
  readonly tenantQuotaUnits: number | undefined;
}

/** What of a sequence need not be computed: the pages of its conversation, pages that others have filled, or those of a running sequence with the same prompt. */
type Found =
  | { readonly kind: 'twin'; readonly kv: KvSequence; readonly numTokens: number }
  | { readonly kind: 'conversation'; readonly kv: KvSequence; readonly numTokens: number }
  | { readonly kind: 'tree'; readonly match: PrefixMatch; readonly numTokens: number };

/** What a sequence takes for the tokens that it has. */
interface Need {
  /** Pages that are there already. */
  readonly kept: readonly number[];
  /** Beyond those. */
  readonly units: number;
  readonly unitsAlone: number;
}

/** Starts waiting sequences, as far as there is room. */
export class Admission {
  readonly #memory: KvMemory;
  readonly #conversations: ConversationCache;
  readonly #supply: PageSupply;
  readonly #options: AdmissionOptions;

  constructor(memory: KvMemory, conversations: ConversationCache, supply: PageSupply, options: AdmissionOptions) {
    this.#memory = memory;
    this.#conversations = conversations;
    this.#supply = supply;
    this.#options = options;
  }

  /**
   * Starts the sequence that should be next, if it can.
   *
   * Sequences are tried in their order until one does not fit: one that needs much is not passed by others for ever. One that waits for
   * pages that are being computed is passed, and one whose tenant's quota is used up is passed by those of other tenants.
   *
   * @param waiting the one that starts is taken out
   * @param running by id; the one that starts is put in
   * @returns it
   */
  admitNext(waiting: EngineRun[], running: Map<number, EngineRun>, counters: TenantCounters): EngineRun | undefined {
    if (running.size >= this.#options.maxSequences) return undefined;
    const byId = new Map(waiting.map((run) => [run.sequence.id, run]));
    const requests = waiting.map((run) => ({
      ...{ id: run.sequence.id, arrival: run.sequence.id, priority: run.priority, tenant: run.tenant },
      inputTokens: run.sequence.request.promptTokens.length,
    }));
    const prefills = [...running.values()].filter((run) => !run.isPromptComputed).map(toPrefill);
    const tenantsAtQuota = new Set<string>();
    for (const { id } of orderWaiting(requests, this.#options, counters)) {
      const run = byId.get(id) as EngineRun;
      if (tenantsAtQuota.has(run.tenant)) continue;
      const others = this.#find(run.sequence);
      const twin = this.#findTwin(run.sequence, running);
      const found = twin && twin.numTokens > others.numTokens ? twin : others;
      if (isHeldBack(run.sequence, found.numTokens, prefills)) continue;
      const need = this.#needOf(run.sequence, found);
      if (!this.#hasRoom(need, running)) return undefined;
      if (this.#isWithinQuota(run, need, running)) {
        waiting.splice(waiting.indexOf(run), 1);
        this.#start(run, found, running);
        return run;
      }
      tenantsAtQuota.add(run.tenant);
    }
    return undefined;
  }

  #start(run: EngineRun, found: Found, running: Map<number, EngineRun>): void {
    const { sequence, tenant } = run;
    const kv = this.#take(sequence, found);
    running.set(sequence.id, run);
    run.start(kv);
    const { tenantQuotaUnits } = this.#options;
    if (tenantQuotaUnits === undefined) return;
    // Not before: what it takes from the cache might have gone.
    const unitsToCome =
      unitsOfSequence(sequence.cache.shape, sequence.tokens.length) - this.#unitsOf(kv.pages.ownedPages());
    this.#supply.limitTenant(tenant, tenantQuotaUnits - Math.max(0, unitsToCome), pagesOfTenant(tenant, running));
  }

  /** The longer of what its conversation and what the tree have of a sequence. */
  #find(sequence: SequenceState): Found {
    const most = mostCachedTokens(sequence);
    const { conversation } = sequence.request;
    const held = this.#conversations.find(conversation, sequence.tokens);
    const match = this.#memory.match(sequence.chain, most);
    const numTokens = held ? held.kv.pages.lengthAfterTruncate(Math.min(held.numShared, most)) : 0;
    if (!held || numTokens < match.numTokens || !haveSamePages(held.kv, sequence, numTokens)) {
      return { kind: 'tree', match, numTokens: match.numTokens };
    }
    return { kind: 'conversation', kv: held.kv, numTokens };
  }

  /**
   * A running sequence that has just computed the same prompt: its last page is still open, and can be copied. None for what goes on after a
   * preemption.
   */
  #findTwin(sequence: SequenceState, running: ReadonlyMap<number, EngineRun>): Found | undefined {
    const { request, tokens, cache } = sequence;
    const most = mostCachedTokens(sequence);
    const { numSinkTokens } = cache.shape;
    if (request.reusePrefix === false || tokens.length > request.promptTokens.length || most <= numSinkTokens)
      return undefined;
    const candidate = { tokens, chain: chainName(sequence) };
    for (const run of running.values()) {
      if (!run.isPromptComputed || !isSame(candidate, toPrefill(run))) continue;
      const kv = kvOf(run.sequence);
      const isOpen = numSealedPages(cache.shape, most) === kv.pages.sealedPages.length;
      if (isOpen && haveSamePages(kv, sequence, most)) return { kind: 'twin', kv, numTokens: most };
    }
    return undefined;
  }

  #needOf({ cache, tokens }: SequenceState, found: Found): Need {
    const kept = keptPages(found);
    const unitsAlone = unitsOfSequence(cache.shape, tokens.length);
    return { kept, unitsAlone, units: Math.max(0, unitsAlone - this.#unitsOf(kept)) };
  }

  #hasRoom({ kept, units }: Need, running: Map<number, EngineRun>): boolean {
    const others = [...running.values()].map(({ sequence }) => sequence);
    const used = this.#unitsOf([...others.flatMap((sequence) => pagesOf(sequence).ownedPages()), ...kept]);
    const growthUnits = growthOfAll(running.values());
    const freeUnits = this.#memory.pool.numUnits - used;
    return planAdmission({ units }, { freeUnits, evictableUnits: 0, growthUnits });
  }

  #isWithinQuota({ tenant }: EngineRun, need: Need, running: Map<number, EngineRun>): boolean {
    const { tenantQuotaUnits } = this.#options;
    if (tenantQuotaUnits === undefined) return true;
    const own = pagesOfTenant(tenant, running);
    const held = this.#supply.pagesOfTenant(tenant, own);
    const inUse = new Set([...own.flatMap((pages) => pages.ownedPages()), ...need.kept]);
    const evictableUnits = this.#unitsOf([...held].filter((page) => !inUse.has(page)));
    // What others of the tenant are about to take counts, too: this one would only be preempted for it.
    const growthUnits = growthOfAll([...running.values()].filter((run) => run.tenant === tenant));
    const heldUnits = this.#unitsOf(held) + growthUnits;
    return withinQuota({ heldUnits, evictableUnits }, need, tenantQuotaUnits).kind === 'admit';
  }

  /** Units of pages, each counted once. */
  #unitsOf(pages: Iterable<number>): number {
    return this.#supply.unitsOf(new Set(pages));
  }

  #take(sequence: SequenceState, found: Found): KvSequence {
    const { conversation } = sequence.request;
    if (found.kind === 'conversation' && conversation !== undefined) {
      const kv = this.#conversations.take(conversation);
      if (kv) {
        kv.truncate(found.numTokens);
        return kv.withChain(sequence.chain);
      }
    }
    const { openUnits, sinkUnits } = sequence.cache.shape;
    if (found.kind === 'twin' && this.#supply.makeRoom(openUnits + sinkUnits)) {
      const kv = this.#memory.fork(found.kv).withChain(sequence.chain);
      kv.truncate(found.numTokens);
      if (conversation !== undefined) this.#conversations.release(conversation);
      return kv;
    }
    // Once more, as keeping a quota may have let pages of it go.
    const match = this.#memory.match(sequence.chain, mostCachedTokens(sequence));
    const kv = this.#memory.startSequence(sequence.cache, sequence.chain, match, this.#supply.makeRoom);
    if (conversation !== undefined) this.#conversations.release(conversation);
    return kv;
  }
}

function isHeldBack(sequence: SequenceState, numHitTokens: number, prefills: readonly RunningPrefill[]): boolean {
  const { request, tokens, cache } = sequence;
  if (request.reusePrefix === false || mostCachedTokens(sequence) < tokens.length - 1) return false;
  return heldBack({ tokens, numHitTokens, chain: chainName(sequence) }, prefills, cache.shape);
}

function toPrefill({ sequence }: EngineRun): RunningPrefill {
  const isShared = sequence.request.reusePrefix !== false;
  return {
    tokens: sequence.request.promptTokens,
    numComputed: pagesOf(sequence).numTokens,
    chain: isShared ? chainName(sequence) : '',
  };
}

/** Whether the first `numTokens` tokens of both are the same pages in the prefix tree, which holds a page in one place only. */
function haveSamePages({ cache, chain }: KvSequence, sequence: SequenceState, numTokens: number): boolean {
  if (cache !== sequence.cache || chain.chain.tenant !== sequence.chain.chain.tenant) return false;
  const numPages = numSealedPages(cache.shape, numTokens);
  return numPages === 0 || chain.page(numPages - 1).key === sequence.chain.page(numPages - 1).key;
}

/** Equal for sequences that can share pages. */
function chainName({ chain: { chain } }: SequenceState): string {
  return `${chain.root} ${chain.tenant}`;
}

function pagesOfTenant(tenant: string, running: Map<number, EngineRun>): SequencePages[] {
  return [...running.values()].filter((run) => run.tenant === tenant).map(({ sequence }) => pagesOf(sequence));
}

/** Pages that a sequence shares or takes over, and so need no room. */
function keptPages(found: Found): readonly number[] {
  if (found.kind === 'tree') return pagesOfMatch(found.match);
  const { pages } = found.kv;
  if (found.kind === 'conversation') return pages.ownedPages();
  // Not the open page, which is copied.
  return pages.sinkPage === undefined ? pages.sealedPages : [...pages.sealedPages, pages.sinkPage];
}

function pagesOfMatch({ nodes }: PrefixMatch): number[] {
  return nodes.flatMap(({ page, sinkPage }) => (sinkPage === undefined ? [page] : [page, sinkPage]));
}

function growthOfAll(runs: Iterable<EngineRun>): number {
  return [...runs].reduce((total, { sequence }) => total + growthOf(sequence), 0);
}

/** Units that a running sequence takes soon: the rest of its known tokens, and the page after that. */
function growthOf(sequence: SequenceState): number {
  const { shape } = sequence.cache;
  const pages = pagesOf(sequence);
  const length = Math.min(sequence.maxLength, sequence.tokens.length + shape.pageSize);
  const held = pages.sealedPages.length * shape.sealedUnits + shape.openUnits + shape.sinkUnits;
  return unitsOfSequence(shape, length) - held + pages.unitsToReserve(1);
}
