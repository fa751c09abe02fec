import type { PeerSetting } from './peer-protocol.ts';

/** What was measured of one engine with one format at one length of prompt; a rate for each run, in tokens per second. */
export interface RunRates {
  readonly prefillTps: readonly number[];
  /** Without the runs that ended before a second token. */
  readonly decodeTps: readonly number[];
}

export interface PeerRates extends RunRates {
  readonly setting: PeerSetting;
}

/** Our rate beside the peer's best one. */
export interface RateAgainst {
  readonly setting: PeerSetting;
  readonly peerTps: number;
  /** Ours divided by the peer's. */
  readonly ratio: number;
}

/** Undefined of no values. */
export function bestOf(rates: readonly number[]): number | undefined {
  return rates.length === 0 ? undefined : Math.max(...rates);
}

/** The middle value, or the mean of the middle two; undefined of no values. */
export function medianOf(rates: readonly number[]): number | undefined {
  if (rates.length === 0) return undefined;
  const sorted = [...rates].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Our best run beside the best run of the peer's fastest setting.
 *
 * @param peers the settings that may be chosen; all of the same length of prompt
 * @returns undefined where either has no rate
 */
export function againstFastest(
  phase: keyof RunRates,
  ours: RunRates,
  peers: readonly PeerRates[],
): RateAgainst | undefined {
  const ourTps = bestOf(ours[phase]);
  let fastest: Omit<RateAgainst, 'ratio'> | undefined;
  for (const peer of peers) {
    const peerTps = bestOf(peer[phase]);
    if (peerTps !== undefined && peerTps > (fastest?.peerTps ?? 0)) fastest = { setting: peer.setting, peerTps };
  }
  if (ourTps === undefined || fastest === undefined) return undefined;
  return { ...fastest, ratio: ourTps / fastest.peerTps };
}
