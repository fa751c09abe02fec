import { counterOf, INPUT_TOKEN_WEIGHT, type TenantCounters } from './fairness.ts';

/** A request that waits for its start, or for going on after it was preempted. */
export interface WaitingRequest {
  readonly id: number;
  /** When it came: any number that grows. A preempted request keeps its own. */
  readonly arrival: number;
  /** Higher goes first, where the policy asks for it. */
  readonly priority: number;
  readonly tenant: string;
  /** Prompt tokens that it will be charged when it starts; 1 if absent, so that tenants who got the same take turns. */
  readonly inputTokens?: number;
}

export type QueuePolicy = 'fcfs' | 'priority';

/**
 * The order in which waiting requests should start: by priority, higher first, if the policy is `priority`; then the
 * tenant's that got the least service; then by arrival. A request counts as service of its tenant for those after it, as
 * it will when it starts, so that several that start at once are shared between tenants too (algorithm 2 of the paper in
 * fairness.ts).
 *
 * Nobody starves under `fcfs`: a tenant's counter only grows when it is served, and newcomers are lifted to the least
 * one. Under `priority` low ones wait as long as higher ones keep coming.
 */
export function orderWaiting(
  waiting: readonly WaitingRequest[],
  { policy }: { readonly policy: QueuePolicy },
  counters: TenantCounters,
): WaitingRequest[] {
  const service = new Map(counters);
  const levels = groupBy(waiting, ({ priority }) => (policy === 'priority' ? priority : 0));
  return [...levels].sort(([a], [b]) => b - a).flatMap(([, requests]) => orderByService(requests, service));
}

/** @param service is charged for what comes first */
function orderByService(requests: readonly WaitingRequest[], service: Map<string, number>): WaitingRequest[] {
  const byArrival = [...requests].sort((a, b) => a.arrival - b.arrival || a.id - b.id);
  // Tenants in the order of their first request, and each one's next request at the end of its list.
  const queues = [...groupBy(byArrival, ({ tenant }) => tenant).values()].map((queue) => queue.reverse());
  return requests.map(() => {
    const queue = leastServed(queues, service);
    const next = queue.pop() as WaitingRequest;
    if (queue.length === 0) queues.splice(queues.indexOf(queue), 1);
    const { tenant, inputTokens = 1 } = next;
    service.set(tenant, counterOf(service, tenant) + INPUT_TOKEN_WEIGHT * inputTokens);
    return next;
  });
}

/** @param queues at least one, each with its next request at the end */
function leastServed(queues: readonly WaitingRequest[][], service: TenantCounters): WaitingRequest[] {
  return queues.reduce((least, queue) => {
    const [a, b] = [queue, least].map((each) => each[each.length - 1]);
    const difference = counterOf(service, a.tenant) - counterOf(service, b.tenant);
    return difference < 0 || (difference === 0 && a.arrival < b.arrival) ? queue : least;
  });
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
