import { unitsOfSequence, type SequencePages } from '../cache/sequence-pages.ts';
import { planAdmission } from './admission-plan.ts';
import type { ConversationCache } from './conversation-cache.ts';
import type { EngineRun } from './engine-run.ts';
import type { TenantCounters } from './fairness.ts';
import { heldBack, type RunningPrefill } from './held-back.ts';
import type { KvMemory, PrefixMatch } from './kv-memory.ts';
import type { KvSequence } from './kv-sequence.ts';
import type { PageSupply } from './page-supply.ts';
import { orderWaiting, type QueuePolicy } from './queue-order.ts';
import { mostCachedTokens, pagesOf, type SequenceState } from './sequence.ts';

export interface AdmissionOptions {
  readonly maxSequences: number;
  readonly policy: QueuePolicy;
  /** Most units of one tenant's pages; undefined: no limit. */
  readonly tenantQuotaUnits: number | undefined;
}

/** What of a sequence need not be computed: the pages of its conversation, or pages that others have filled. */
type Found =
  | { readonly kind: 'conversation'; readonly kv: KvSequence; readonly numTokens: number }
  | { readonly kind: 'tree'; readonly match: PrefixMatch; readonly numTokens: number };

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
   * pages that are being computed is passed.
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
    for (const { id } of orderWaiting(requests, this.#options, counters)) {
      const run = byId.get(id) as EngineRun;
      const found = this.#find(run.sequence);
      if (isHeldBack(run.sequence, found.numTokens, prefills)) continue;
      // What it begins with goes last where others of its tenant have to.
      if (found.kind === 'tree') this.#memory.tree.touch(found.match.nodes);
      if (!this.#hasRoom(run, found, running)) return undefined;
      waiting.splice(waiting.indexOf(run), 1);
      running.set(id, run);
      run.start(this.#take(run.sequence, found));
      return run;
    }
    return undefined;
  }

  /** The longer of what its conversation and what the tree have of a sequence. */
  #find(sequence: SequenceState): Found {
    const most = mostCachedTokens(sequence);
    const { conversation } = sequence.request;
    const held = this.#conversations.find(conversation, sequence.tokens);
    const match = this.#memory.match(sequence.chain, most);
    if (!held || held.kv.cache !== sequence.cache || held.kv.chain.chain.tenant !== sequence.chain.chain.tenant) {
      return { kind: 'tree', match, numTokens: match.numTokens };
    }
    const numTokens = held.kv.pages.lengthAfterTruncate(Math.min(held.numShared, most));
    if (numTokens < match.numTokens) return { kind: 'tree', match, numTokens: match.numTokens };
    return { kind: 'conversation', kv: held.kv, numTokens };
  }

  #hasRoom(run: EngineRun, found: Found, running: Map<number, EngineRun>): boolean {
    const { pool } = this.#memory;
    const others = [...running.values()].map(({ sequence }) => pagesOf(sequence));
    const kept = found.kind === 'tree' ? pagesOfMatch(found.match) : found.kv.pages.ownedPages();
    const used = this.#supply.unitsOf(new Set([...others.flatMap((pages) => pages.ownedPages()), ...kept]));
    const { cache, tokens } = run.sequence;
    const unitsAlone = unitsOfSequence(cache.shape, tokens.length);
    const units = Math.max(0, unitsAlone - this.#supply.unitsOf(new Set(kept)));
    const growthUnits = [...running.values()].reduce((total, other) => total + growthOf(other.sequence), 0);
    if (!planAdmission({ units }, { freeUnits: pool.numUnits - used, evictableUnits: 0, growthUnits })) return false;
    return this.#isWithinQuota(run, units, others);
  }

  #isWithinQuota(run: EngineRun, units: number, running: readonly SequencePages[]): boolean {
    const { tenantQuotaUnits } = this.#options;
    if (tenantQuotaUnits === undefined) return true;
    return this.#supply.limitTenant(run.tenant, Math.max(0, tenantQuotaUnits - units), running);
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

/** Equal for sequences that can share pages. */
function chainName({ chain: { chain } }: SequenceState): string {
  return `${chain.root} ${chain.tenant}`;
}

function pagesOfMatch({ nodes }: PrefixMatch): number[] {
  return nodes.flatMap(({ page, sinkPage }) => (sinkPage === undefined ? [page] : [page, sinkPage]));
}

/** Units that a running sequence takes soon: the rest of its known tokens, and the page after that. */
function growthOf(sequence: SequenceState): number {
  const { shape } = sequence.cache;
  const pages = pagesOf(sequence);
  const length = Math.min(sequence.maxLength, sequence.tokens.length + shape.pageSize);
  const held = pages.sealedPages.length * shape.sealedUnits + shape.openUnits + shape.sinkUnits;
  return unitsOfSequence(shape, length) - held + pages.unitsToReserve(1);
}
