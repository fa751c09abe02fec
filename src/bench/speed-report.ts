import type { Speed } from './contender.ts';
import {
  againstFastest,
  bestOf,
  medianOf,
  type PeerRates,
  type RateAgainst,
  type RunRates,
} from './peer-comparison.ts';
import { settingOf, type PeerSetting } from './peer-protocol.ts';

/** Speed at one length of prompt, as `--json` prints it: best run, median, and every run, in tokens per second. */
export interface SpeedRow {
  readonly kv: string;
  readonly threads: number;
  /** Of a peer that computes on a GPU. */
  readonly gpu?: true;
  readonly prompt_tokens: number;
  readonly prefill_tps: number;
  /** Null where the model ended before its second token. */
  readonly decode_tps: number | null;
  readonly prefill_tps_median: number;
  readonly decode_tps_median: number | null;
  readonly prefill_tps_runs: readonly number[];
  readonly decode_tps_runs: readonly (number | null)[];
}

/** A row of ours: a format at a length of prompt. */
export interface KvantRow extends SpeedRow {
  readonly bits_per_element: number;
  /** Of the cache. */
  readonly bytes: number;
  readonly load_ms: number;
}

/** Our best rate divided by the peer's, and what the peer had and with which setting. */
export interface RatioRow {
  readonly peer_kv: string;
  readonly peer_threads: number;
  readonly peer_gpu?: true;
  readonly peer_tps: number;
  readonly ratio: number;
}

/** A row of ours against the peer's rows at the same length. */
export interface AgainstRow {
  readonly kv: string;
  readonly prompt_tokens: number;
  /** Against its fastest setting; null where either ended before a second token. */
  readonly decode: RatioRow | null;
  /** Against the fastest number of threads with each of its types. */
  readonly prefill: readonly RatioRow[];
}

/** @throws RangeError without runs */
export function speedRow(setting: PeerSetting, numPromptTokens: number, speeds: readonly Speed[]): SpeedRow {
  const { prefillTps, decodeTps } = runRates(speeds);
  const [best, median] = [bestOf(prefillTps), medianOf(prefillTps)];
  if (best === undefined || median === undefined) throw new RangeError('a row of no runs');
  return {
    ...setting,
    prompt_tokens: numPromptTokens,
    prefill_tps: best,
    decode_tps: bestOf(decodeTps) ?? null,
    prefill_tps_median: median,
    decode_tps_median: medianOf(decodeTps) ?? null,
    prefill_tps_runs: prefillTps,
    decode_tps_runs: speeds.map((speed) => speed.decodeTps ?? null),
  };
}

/** @param peers all of the length of `ours`; types are listed in the order in which they come first */
export function againstRow(ours: SpeedRow, peers: readonly SpeedRow[]): AgainstRow {
  const rates = peers.map((row): PeerRates => ({ setting: settingOf(row), ...ratesOf(row) }));
  const types = [...new Set(peers.map(({ kv }) => kv))];
  const prefill = types.map((type) => {
    const ofType = rates.filter(({ setting }) => setting.kv === type);
    return ratioRow(againstFastest('prefillTps', ratesOf(ours), ofType));
  });
  return {
    kv: ours.kv,
    prompt_tokens: ours.prompt_tokens,
    decode: ratioRow(againstFastest('decodeTps', ratesOf(ours), rates)),
    prefill: prefill.filter((row) => row !== null),
  };
}

/** With what the peer had its rate. */
export function settingOfRatio({ peer_kv: kv, peer_threads: threads, peer_gpu: gpu }: RatioRow): PeerSetting {
  return { kv, threads, ...(gpu && { gpu }) };
}

function ratioRow(against: RateAgainst | undefined): RatioRow | null {
  if (against === undefined) return null;
  const { setting, peerTps, ratio } = against;
  const { kv, threads, gpu } = setting;
  return { peer_kv: kv, peer_threads: threads, ...(gpu && { peer_gpu: gpu }), peer_tps: peerTps, ratio };
}

function ratesOf(row: SpeedRow): RunRates {
  return { prefillTps: row.prefill_tps_runs, decodeTps: row.decode_tps_runs.filter((rate) => rate !== null) };
}

function runRates(speeds: readonly Speed[]): RunRates {
  return {
    prefillTps: speeds.map((speed) => speed.prefillTps),
    decodeTps: speeds.map((speed) => speed.decodeTps).filter((rate) => rate !== undefined),
  };
}
