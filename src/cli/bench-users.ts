import { availableParallelism } from 'node:os';
import type { Contender } from '../bench/contender.ts';
import { measureInTurn } from '../bench/measure-in-turn.ts';
import { PeerProcess } from '../bench/peer-process-node.ts';
import type { PeerSetting } from '../bench/peer-protocol.ts';
import { UsersContender } from '../bench/users-contender.ts';
import { usersAgainstRow, usersRow, type UsersAgainstRow, type UsersRow } from '../bench/users-report.ts';
import { randomUsersTask, type UsersRun, type UsersTask, type UsersTaskSize } from '../bench/users-task.ts';
import { KvantError } from '../errors.ts';
import type { BackendDescription } from '../index.ts';
import type { PeerName } from './bench-flags.ts';
import { findPeer, peerDevice, type Peer } from './bench-peers.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine } from './bench-table.ts';
import { UNQUANTIZED_PEER_KV, USERS_DEFAULTS, type USERS_FLAGS } from './bench-users-flags.ts';
import { usersColumns } from './bench-users-table.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { formatQuantity } from './format.ts';
import { loadModel } from './load-model.ts';

export type UsersOptions = OptionsOf<typeof USERS_FLAGS>;

/** Many users, as `--json` prints them. */
export interface UsersSection {
  readonly model: string;
  readonly backend: BackendDescription;
  readonly settings: {
    readonly runs: number;
    readonly shared_tokens: number;
    readonly own_tokens: number;
    readonly new_tokens: number;
  };
  readonly users: readonly UsersRow[];
  readonly peer?: { readonly name: string; readonly version: string; readonly users: readonly UsersRow[] };
  readonly against?: readonly UsersAgainstRow[];
}

/** Code is compiled and memory touched before anything counts; its seed is none of a run's. */
const WARM_UP = { numSharedTokens: 0, numOwnTokens: 8, numNewTokens: 4 };
const WARM_UP_SEED = 1;

/**
 * Measures how fast users are served who all ask at once, for every number of users and every format, in turn with the peer's settings, and
 * prints a row as soon as it is known. An engine serves exactly as many users as it was loaded for.
 *
 * @param find where peers come from
 * @throws KvantError, and what `load` and the generations throw
 */
export async function benchUsers(
  options: UsersOptions,
  session: BenchSession,
  context: CliContext,
  find: (name: PeerName) => Promise<Peer> = findPeer,
): Promise<UsersSection> {
  checkComparison(options);
  const peer = options.against && (await find(options.against));
  const bench = new UsersBench(options, peer, { session, context });
  for (const numUsers of options.users ?? USERS_DEFAULTS.users) await bench.measure(numUsers);
  return bench.section();
}

interface Surroundings {
  readonly session: BenchSession;
  readonly context: CliContext;
}

class UsersBench {
  readonly #options: UsersOptions;
  readonly #peer: Peer | undefined;
  readonly #around: Surroundings;
  readonly #rows: UsersRow[] = [];
  readonly #peerRows: UsersRow[] = [];
  readonly #against: UsersAgainstRow[] = [];
  #info: Pick<UsersSection, 'model' | 'backend'> | undefined;

  constructor(options: UsersOptions, peer: Peer | undefined, around: Surroundings) {
    this.#options = options;
    this.#peer = peer;
    this.#around = around;
  }

  async measure(numUsers: number): Promise<void> {
    const size = this.#sizeOf(numUsers);
    const ours: UsersContender[] = [];
    const peers: PeerProcess[] = [];
    try {
      await this.#start(size, ours, peers);
      const results = await this.#measure(size, ours, peers);
      const peerRows = peers.map(({ setting }, index) => this.#row(setting, size, results[ours.length + index], true));
      this.#peerRows.push(...peerRows);
      for (const [index, { model }] of ours.entries()) {
        const { kvFormat: kv, backend } = model.info;
        await this.#add(this.#row({ kv, threads: backend.threads }, size, results[index], false), peerRows);
      }
    } finally {
      for (const contender of [...ours, ...peers]) await contender.close();
    }
  }

  section(): UsersSection {
    const { runs = USERS_DEFAULTS.runs } = this.#options;
    const { numSharedTokens, numOwnTokens, numNewTokens } = this.#sizeOf(1);
    if (!this.#info) throw new RangeError('nothing was measured');
    const peer = this.#peer;
    return {
      ...this.#info,
      settings: { runs, shared_tokens: numSharedTokens, own_tokens: numOwnTokens, new_tokens: numNewTokens },
      users: this.#rows,
      ...(peer && {
        peer: { name: peer.name, version: peer.version, users: this.#peerRows },
        against: this.#against,
      }),
    };
  }

  #sizeOf(numUsers: number): UsersTaskSize {
    const { shared, in: own, out } = this.#options;
    return {
      numUsers,
      numSharedTokens: shared ?? USERS_DEFAULTS.shared,
      numOwnTokens: own ?? USERS_DEFAULTS.in,
      numNewTokens: out ?? USERS_DEFAULTS.out,
    };
  }

  /** @param ours and `peers` are filled, so that those which have started can be closed if a later one does not */
  async #start(size: UsersTaskSize, ours: UsersContender[], peers: PeerProcess[]): Promise<void> {
    const { session, context } = this.#around;
    const { numUsers } = size;
    const ctx = size.numSharedTokens + size.numOwnTokens + size.numNewTokens;
    for (const kv of this.#options.kv ?? USERS_DEFAULTS.kv) {
      const options = { ...modelOptions(this.#options), kv, ctx, maxSequences: numUsers };
      ours.push(new UsersContender(await loadModel(options, context, session.signal)));
    }
    const { info } = ours[0].model;
    const device = peerDevice(this.#options.backend, info.backend);
    for (const setting of this.#peer ? peerSettings(this.#options) : []) {
      const { name, driverPath } = this.#peer as Peer;
      session.progress(() => `starting ${name} with ${setting.kv} for ${formatQuantity(numUsers, 'user')}`);
      const options = { name, driverPath, modelPath: info.path, contextTokens: ctx, maxUsers: numUsers };
      peers.push(await PeerProcess.start({ ...setting, ...device }, options, session.signal));
    }
    if (this.#info) return;
    this.#info = { model: info.name, backend: info.backend };
    await session.title(info, this.#peer);
    await session.print(headingLine(usersColumns(this.#peer !== undefined)));
  }

  async #measure(
    size: UsersTaskSize,
    ours: readonly UsersContender[],
    peers: readonly PeerProcess[],
  ): Promise<UsersRun[][]> {
    const { signal } = this.#around.session;
    const { runs = USERS_DEFAULTS.runs } = this.#options;
    const contenders = [...ours, ...peers.map(peerContender)];
    const { vocabularySize } = ours[0].model.info;
    const warmUp = { ...WARM_UP, numUsers: size.numUsers };
    const show = (what: string): void => this.#around.session.progress(() => what);
    for (const contender of contenders) {
      show(`warming up ${contender.label}`);
      await contender.measure(randomUsersTask(WARM_UP_SEED, smaller(warmUp, size), vocabularySize), signal);
    }
    return measureInTurn(contenders, (run) => randomUsersTask(seedOf(run, size), size, vocabularySize), {
      runs,
      signal,
      onMeasure: ({ label }, run) =>
        show(`measuring ${label} with ${formatQuantity(size.numUsers, 'user')}, run ${run + 1} of ${runs}`),
    });
  }

  #row(setting: PeerSetting, size: UsersTaskSize, runs: readonly UsersRun[], isPeer: boolean): UsersRow {
    const earlier = isPeer ? this.#peerRows : this.#rows;
    const one = earlier.find((row) => row.users === 1 && isSameSetting(row, setting));
    return usersRow(setting, size, runs, one);
  }

  async #add(ours: UsersRow, peerRows: readonly UsersRow[]): Promise<void> {
    this.#rows.push(ours);
    const against = usersAgainstRow(ours, peerRows);
    if (against) this.#against.push(against);
    await this.#around.session.print(rowLine(usersColumns(this.#peer !== undefined), { ours, against }));
  }
}

function modelOptions({ model, calibration, threads, backend, json }: UsersOptions): UsersOptions {
  return { model, calibration, threads, backend, json } as UsersOptions;
}

function peerContender(peer: PeerProcess): Contender<UsersTask, UsersRun> {
  return {
    label: peer.label,
    measure: (task, signal) => peer.measureUsers(task, signal),
    close: () => peer.close(),
  };
}

/** Other tokens in every run and for every number of users. */
function seedOf(run: number, { numUsers }: UsersTaskSize): number {
  return 1_000_003 * (run + 1) + 7919 * numUsers;
}

function smaller(a: UsersTaskSize, b: UsersTaskSize): UsersTaskSize {
  const least = (name: keyof UsersTaskSize): number => Math.min(a[name], b[name]);
  return { ...a, numOwnTokens: least('numOwnTokens'), numNewTokens: least('numNewTokens') };
}

function isSameSetting(a: PeerSetting, b: PeerSetting): boolean {
  return (['kv', 'threads', 'batchTokens', 'flashAttention'] as const).every((name) => a[name] === b[name]);
}

/** Every combination that the peer can run. */
function peerSettings(options: UsersOptions): PeerSetting[] {
  const { peerKv, peerThreads, peerBatch, peerFlash } = options;
  return (peerKv ?? USERS_DEFAULTS.peerKv).flatMap((kv) =>
    (peerThreads ?? [availableParallelism()]).flatMap((threads) =>
      (peerBatch ?? USERS_DEFAULTS.peerBatch).flatMap((batchTokens) =>
        (peerFlash ?? USERS_DEFAULTS.peerFlash)
          .filter((flash) => flash === 'on' || UNQUANTIZED_PEER_KV.includes(kv))
          .map((flash) => ({ kv, threads, batchTokens, flashAttention: flash === 'on' })),
      ),
    ),
  );
}

/** @throws KvantError INVALID_OPTION for flags of a peer without one, and where no setting is left */
function checkComparison(options: UsersOptions): void {
  const { against, peerKv, peerThreads, peerBatch, peerFlash } = options;
  for (const [flag, value] of Object.entries({
    kv: peerKv,
    threads: peerThreads,
    batch: peerBatch,
    flash: peerFlash,
  })) {
    if (value && !against) throw new KvantError('INVALID_OPTION', `--peer-${flag} needs --against ENGINE`);
  }
  if (peerSettings(options).length > 0) return;
  const why = `the types ${String(peerKv)} need flash attention: add on, or one of ${UNQUANTIZED_PEER_KV.join(', ')}`;
  throw new KvantError('INVALID_OPTION', `--peer-flash off: ${why}`);
}
