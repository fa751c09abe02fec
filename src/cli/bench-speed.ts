import { availableParallelism } from 'node:os';
import type { Contender, SpeedTask } from '../bench/contender.ts';
import { measureInTurn } from '../bench/measure-in-turn.ts';
import { ModelContender } from '../bench/model-contender.ts';
import { PeerProcess } from '../bench/peer-process-node.ts';
import type { PeerSetting } from '../bench/peer-protocol.ts';
import { randomTokens } from '../bench/random-tokens.ts';
import { againstRow, speedRow, type AgainstRow, type KvantRow, type SpeedRow } from '../bench/speed-report.ts';
import type { BackendDescription } from '../index.ts';
import type { BenchOptions } from './cli-options.ts';
import type { CliContext } from './cli-context.ts';
import { BENCH_DEFAULTS } from './bench-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { peerDevice, type Peer } from './bench-peers.ts';
import { headingLine, rowLine, speedColumns, type Column, type SpeedTableRow } from './bench-table.ts';
import { formatCount, formatQuantity } from './format.ts';
import { loadModel } from './load-model.ts';

const PEER_KV = ['F16', 'Q8_0', 'Q4_0'] as const;
/** Code is compiled and memory touched before anything counts. */
const WARM_UP = { numTokens: 64, numNewTokens: 4 };

/** Prefill and decode, as `--json` prints them. */
export interface SpeedSection {
  readonly model: string;
  readonly backend: BackendDescription;
  readonly settings: { readonly runs: number; readonly new_tokens: number };
  readonly rows: readonly KvantRow[];
  readonly peer?: { readonly name: string; readonly version: string; readonly rows: readonly SpeedRow[] };
  readonly against?: readonly AgainstRow[];
}

export interface SpeedRequest {
  readonly prefill: boolean;
  readonly decode: boolean;
  readonly options: BenchOptions;
  /** Whom to measure in turn with ours. */
  readonly peer: Peer | undefined;
}

/**
 * Measures prefill and decode for every format and length of prompt, in turn with the peer's settings, and prints the rows of a length as
 * soon as they are known. Prompts are random tokens, the same in every run and for every engine. All models stay loaded to the end.
 *
 * @throws KvantError, and what `load` and the generations throw
 */
export async function benchSpeed(
  request: SpeedRequest,
  session: BenchSession,
  context: CliContext,
): Promise<SpeedSection> {
  const bench = new SpeedBench(request, session);
  try {
    await bench.start(context);
    for (const length of request.options.ctx ?? BENCH_DEFAULTS.ctx) await bench.measure(length);
    return bench.section();
  } finally {
    await bench.close();
  }
}

class SpeedBench {
  readonly #request: SpeedRequest;
  readonly #session: BenchSession;
  readonly #ours: ModelContender[] = [];
  readonly #peers: PeerProcess[] = [];
  readonly #rows: KvantRow[] = [];
  readonly #peerRows: SpeedRow[] = [];
  readonly #against: AgainstRow[] = [];
  #columns: readonly Column<SpeedTableRow>[] = [];

  constructor(request: SpeedRequest, session: BenchSession) {
    this.#request = request;
    this.#session = session;
  }

  async start(context: CliContext): Promise<void> {
    const { options, peer, prefill, decode } = this.#request;
    const { ctx: lengths = BENCH_DEFAULTS.ctx, newTokens = BENCH_DEFAULTS.newTokens } = options;
    const contextTokens = Math.max(...lengths) + newTokens;
    for (const kv of options.kv ?? BENCH_DEFAULTS.kv) {
      const model = await loadModel({ ...options, kv, ctx: contextTokens }, context, this.#session.signal);
      this.#ours.push(new ModelContender(model));
    }
    const device = peerDevice(options.backend, this.#ours[0].model.info.backend);
    const settings = peer ? peerSettings(options) : [];
    for (const setting of settings) await this.#startPeer({ ...setting, ...device }, contextTokens);
    const numTokens = Math.min(WARM_UP.numTokens, ...lengths);
    for (const contender of this.#contenders) {
      this.#session.progress(() => `warming up ${contender.label}`);
      const task = { tokens: this.#tokens(numTokens), numNewTokens: Math.min(WARM_UP.numNewTokens, newTokens) };
      await contender.measure(task, this.#session.signal);
    }
    const peerTypes = peer && [...new Set(settings.map(({ kv }) => kv))];
    this.#columns = speedColumns({ prefill, decode, peerTypes });
    await this.#session.title(this.#ours[0].model.info, peer);
    await this.#session.print(headingLine(this.#columns));
  }

  /** One length of prompt. */
  async measure(length: number): Promise<void> {
    const { newTokens = BENCH_DEFAULTS.newTokens, runs = BENCH_DEFAULTS.runs } = this.#request.options;
    const task: SpeedTask = { tokens: this.#tokens(length), numNewTokens: newTokens };
    const speeds = await measureInTurn(this.#contenders, () => task, {
      runs,
      signal: this.#session.signal,
      onMeasure: ({ label }, run) => {
        this.#session.progress(
          () => `measuring ${label} at ${formatQuantity(length, 'token')}, run ${run + 1} of ${runs}`,
        );
      },
    });
    const peerRows = this.#peers.map((peer, index) =>
      speedRow(peer.setting, length, speeds[this.#ours.length + index]),
    );
    this.#peerRows.push(...peerRows);
    for (const [index, { model }] of this.#ours.entries()) {
      const { backend, kvFormat, loadMs } = model.info;
      const kv = speeds[index].at(-1)?.kv;
      const setting = { kv: kvFormat, threads: backend.threads };
      const cache = { bits_per_element: kv?.bitsPerElement ?? 0, bytes: kv?.bytes ?? 0, load_ms: loadMs };
      const numNewTokens = Math.min(...speeds[index].map((speed) => speed.numNewTokens));
      await this.#add({ ...speedRow(setting, length, speeds[index]), ...cache }, peerRows);
      if (numNewTokens < newTokens) this.#session.note(endedEarly(kvFormat, length, numNewTokens));
    }
  }

  section(): SpeedSection {
    const { peer, options } = this.#request;
    const { newTokens = BENCH_DEFAULTS.newTokens, runs = BENCH_DEFAULTS.runs } = options;
    const { name: model, backend } = this.#ours[0].model.info;
    const settings = { runs, new_tokens: newTokens };
    if (!peer) return { model, backend, settings, rows: this.#rows };
    const { name, version } = peer;
    return {
      model,
      backend,
      settings,
      rows: this.#rows,
      peer: { name, version, rows: this.#peerRows },
      against: this.#against,
    };
  }

  async close(): Promise<void> {
    for (const contender of this.#contenders) await contender.close();
  }

  get #contenders(): readonly Contender[] {
    return [...this.#ours, ...this.#peers];
  }

  #tokens(length: number): number[] {
    return randomTokens(length, this.#ours[0].model.info.vocabularySize);
  }

  async #startPeer(setting: PeerSetting, contextTokens: number): Promise<void> {
    const { peer } = this.#request;
    if (!peer) return;
    this.#session.progress(() => `starting ${peer.name} with ${setting.kv}, ${setting.threads} threads`);
    const modelPath = this.#ours[0].model.info.path;
    const options = { name: peer.name, driverPath: peer.driverPath, modelPath, contextTokens };
    this.#peers.push(await PeerProcess.start(setting, options, this.#session.signal));
  }

  async #add(ours: KvantRow, peerRows: readonly SpeedRow[]): Promise<void> {
    this.#rows.push(ours);
    const against = this.#request.peer && againstRow(ours, peerRows);
    if (against) this.#against.push(against);
    await this.#session.print(rowLine(this.#columns, { ours, against }));
  }
}

/** Every number of threads with every type: which is best depends on the length of the prompt. */
function peerSettings({ peerKv, peerThreads }: BenchOptions): PeerSetting[] {
  const numThreads = peerThreads ?? [...new Set([1, availableParallelism()])];
  return (peerKv ?? PEER_KV).flatMap((kv) => numThreads.map((threads) => ({ kv, threads })));
}

function endedEarly(kv: string, length: number, numNewTokens: number): string {
  return `${kv} at ${formatCount(length)} tokens ended after ${formatQuantity(numNewTokens, 'new token')}: its decode rate is of so few`;
}
