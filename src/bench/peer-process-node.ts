import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { KvantError } from '../errors.ts';
import type { Contender, Speed, SpeedTask } from './contender.ts';
import { describePeerSetting, type PeerReply, type PeerRequest, type PeerSetting } from './peer-protocol.ts';
import type { UsersRun, UsersTask } from './users-task.ts';

const MS_PER_SECOND = 1000;
/** Of what the process has written to stderr, for the message of an error. */
const MAX_ERROR_CHARS = 1000;

export interface PeerProcessOptions {
  /** Of the engine. */
  readonly name: string;
  /** Script that speaks the protocol. */
  readonly driverPath: string;
  readonly modelPath: string;
  readonly contextTokens: number;
  /** Prompts that it is given at once; default 1. */
  readonly maxUsers?: number;
}

/** Another engine in a process of its own, so that its threads and memory leave ours alone. */
export class PeerProcess implements Contender {
  readonly label: string;
  readonly setting: PeerSetting;
  readonly #child: ChildProcess;
  #stderr = '';

  private constructor(setting: PeerSetting, name: string, driverPath: string) {
    this.label = `${name} ${describePeerSetting(setting)}`;
    this.setting = setting;
    this.#child = fork(driverPath, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: ['--no-warnings'] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_ERROR_CHARS);
    });
    // A message to a process that has just ended; that it ended is what the caller learns.
    this.#child.on('error', () => undefined);
  }

  /**
   * Starts the process and loads the model.
   *
   * @throws KvantError ENGINE_FAILED, the signal's reason if it aborts
   */
  static async start(setting: PeerSetting, options: PeerProcessOptions, signal: AbortSignal): Promise<PeerProcess> {
    const { name, driverPath, modelPath, contextTokens, maxUsers = 1 } = options;
    const peer = new PeerProcess(setting, name, driverPath);
    try {
      await peer.#ask({ type: 'open', setting, modelPath, contextTokens, maxUsers }, signal);
      return peer;
    } catch (error) {
      await peer.close();
      throw error;
    }
  }

  async measure({ tokens, numNewTokens }: SpeedTask, signal: AbortSignal): Promise<Speed> {
    const reply = await this.#ask({ type: 'measure', tokens, numNewTokens }, signal);
    if (reply.type !== 'measured') throw this.#failure(`answered "${reply.type}" to "measure"`);
    const { prefillMs, decodeMs } = reply;
    const decodeTps = reply.numNewTokens < 2 ? undefined : ((reply.numNewTokens - 1) * MS_PER_SECOND) / decodeMs;
    const prefillTps = (tokens.length * MS_PER_SECOND) / prefillMs;
    return { prefillTps, decodeTps, numNewTokens: reply.numNewTokens };
  }

  /** Many prompts at once, as many as it was started for. */
  async measureUsers(task: UsersTask, signal: AbortSignal): Promise<UsersRun> {
    const reply = await this.#ask({ type: 'measureUsers', ...task }, signal);
    if (reply.type !== 'usersMeasured') throw this.#failure(`answered "${reply.type}" to "measureUsers"`);
    return { wallMs: reply.wallMs, users: reply.users };
  }

  async close(): Promise<void> {
    if (this.#isRunning()) {
      const exited = once(this.#child, 'exit');
      this.#child.kill();
      await exited;
    }
  }

  /** Whatever comes first: the reply, the end of the process, or the abort, which leaves the process computing. */
  async #ask(request: PeerRequest, signal: AbortSignal): Promise<Exclude<PeerReply, { type: 'failed' }>> {
    signal.throwIfAborted();
    if (!this.#isRunning()) throw this.#failure('has ended');
    const settled = new AbortController();
    const waiting = { signal: AbortSignal.any([signal, settled.signal]) };
    try {
      const replied = once(this.#child, 'message', waiting);
      // Not `exit`: what it wrote to stderr has arrived by then.
      const ended = once(this.#child, 'close', waiting);
      this.#child.send(request, () => undefined);
      const [first] = (await Promise.race([replied, ended])) as [PeerReply | number | null];
      if (first === null || typeof first === 'number') throw this.#failure('has ended');
      if (first.type === 'failed') throw this.#failure(`failed: ${first.message}`);
      return first;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      settled.abort();
    }
  }

  #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #failure(what: string): KvantError {
    const output = this.#stderr.trim();
    return new KvantError('ENGINE_FAILED', `${this.label} ${what}${output === '' ? '' : `; it wrote: ${output}`}`);
  }
}
