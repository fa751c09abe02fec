import { bitsPerElement, elementsPerToken, PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import type { EngineCounters } from './engine-counters.ts';
import type { EngineRun } from './engine-run.ts';
import type { KvMemory } from './kv-memory.ts';
import type { KvSequence } from './kv-sequence.ts';
import { pageStats } from './page-stats.ts';
import type { AuditStats, EngineStats } from './stats-types.ts';

/** What an engine consists of between two steps. */
export interface EngineState {
  readonly memory: KvMemory;
  readonly running: Iterable<EngineRun>;
  readonly waiting: Iterable<EngineRun>;
  /** Idle ones. */
  readonly conversations: Iterable<KvSequence>;
  readonly counters: EngineCounters;
  readonly steps: number;
  readonly audit: AuditStats | undefined;
}

const F16_BYTES = 2;

/** Counts everything, or what is one tenant's. A public page is a tenant's while it uses it. */
export function engineStats(state: EngineState, tenant: string | undefined): EngineStats {
  const { memory, counters, steps, audit } = state;
  const isOwn = (other: string | undefined): boolean => tenant === undefined || other === tenant;
  const running = [...state.running].filter((run) => isOwn(run.tenant));
  const waiting = [...state.waiting].filter((run) => isOwn(run.tenant));
  const idle = [...state.conversations].filter(({ chain }) => isOwn(chain.chain.tenant));
  const sequences = [...running.flatMap(({ sequence }) => sequence.kv ?? []), ...idle];
  const nodes = [...memory.tree.nodes()].filter((node) => isOwn(node.tenant));
  return {
    kv: kvOf(memory),
    requests: { running: running.length, waiting: waiting.length },
    pages: pageStats(memory, { sequences, nodes }),
    memory: memoryOf(memory),
    counts: counters.get(tenant),
    steps,
    ...(audit && { audit }),
  };
}

function kvOf({ defaultCache }: KvMemory): EngineStats['kv'] {
  const { format, sealedLayout } = defaultCache;
  return {
    format: format.name,
    bitsPerElement: bitsPerElement(sealedLayout),
    bytesF16PerToken: elementsPerToken(sealedLayout.shape) * F16_BYTES,
  };
}

function memoryOf({ pool, tree }: KvMemory): EngineStats['memory'] {
  const totalBytes = pool.numUnits * PAGE_UNIT_BYTES;
  const freeBytes = pool.numFreeUnits * PAGE_UNIT_BYTES;
  const kept = tree.ownedPages().filter((page) => pool.numOwnersOf(page) === 1);
  const keptBytes = kept.reduce((total, page) => total + pool.numUnitsOf(page), 0) * PAGE_UNIT_BYTES;
  return { usedBytes: totalBytes - freeBytes, keptBytes, freeBytes, totalBytes };
}
