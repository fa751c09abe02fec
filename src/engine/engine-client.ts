import { KvantError } from '../errors.ts';
import { fromPlainError, type CallEvent, type CallMessage, type CallName, type EngineCalls } from './protocol.ts';
import type { FromEngine, ToEngine } from './protocol.ts';

/** The host's end of the line to an engine's worker. An entry file makes one for its platform. */
export interface EnginePort {
  post(message: ToEngine): void;
  onMessage(handler: (message: FromEngine) => void): void;
  /** Called when the worker has ended, however it came to that. */
  onEnd(handler: (reason: string) => void): void;
  /** Whether the program has to stay alive for the worker's sake. */
  setBusy(busy: boolean): void;
  /** Ends the worker and its threads, whatever they are doing. */
  terminate(): Promise<void>;
}

interface PendingCall {
  readonly onEvent: ((event: CallEvent) => void) | undefined;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A call under way. */
export interface Call<Name extends CallName> {
  readonly result: Promise<EngineCalls[Name]['result']>;
  /** Asks the worker to end the call soon; it still has a result. */
  readonly abort: () => void;
}

/** Calls an engine in a worker, and sees to it that every call ends, also when the worker does not answer any more. */
export class EngineClient {
  readonly #port: EnginePort;
  readonly #pending = new Map<number, PendingCall>();
  #nextId = 0;
  /** Why no more calls are taken. */
  #end: KvantError | undefined;

  constructor(port: EnginePort) {
    this.#port = port;
    port.onMessage((message) => this.#receive(message));
    port.onEnd((reason) => {
      const message = `the engine's worker ended unexpectedly (${reason}): load the model again`;
      this.#endAll(new KvantError('ENGINE_FAILED', message));
    });
    // Last, since a listener for messages keeps the program alive.
    port.setBusy(false);
  }

  /**
   * The result rejects with what the worker throws, with ENGINE_CLOSED, or, if the worker breaks down, with
   * ENGINE_FAILED.
   *
   * @param onEvent what it throws ends the call
   */
  call<Name extends CallName>(
    name: Name,
    params: EngineCalls[Name]['params'],
    onEvent?: (event: CallEvent) => void,
  ): Call<Name> {
    const { promise, resolve, reject } = Promise.withResolvers<EngineCalls[Name]['result']>();
    if (this.#end) {
      reject(this.#end);
      return { result: promise, abort: () => undefined };
    }
    const id = this.#nextId++;
    this.#pending.set(id, { onEvent, resolve: resolve, reject });
    this.#port.setBusy(true);
    this.#port.post({ kind: 'call', id, name, params } as CallMessage);
    return { result: promise, abort: () => this.#abort(id) };
  }

  /** Ends the worker. Calls under way reject with ENGINE_CLOSED. Closing twice is closing once. */
  async close(): Promise<void> {
    this.#endAll(new KvantError('ENGINE_CLOSED', 'the model was closed: load it again to use it'));
    await this.#port.terminate();
  }

  #receive(message: FromEngine): void {
    const call = this.#pending.get(message.id);
    // The call has ended here already: closed, or given up by its caller.
    if (!call) return;
    if (message.kind === 'event') return this.#pass(message.id, call, message.event);
    this.#forget(message.id);
    if (message.kind === 'result') call.resolve(message.value);
    else call.reject(fromPlainError(message.error));
  }

  #pass(id: number, call: PendingCall, event: CallEvent): void {
    try {
      call.onEvent?.(event);
    } catch (error) {
      this.#abort(id);
      this.#forget(id);
      call.reject(error);
    }
  }

  #abort(id: number): void {
    if (this.#pending.has(id)) this.#port.post({ kind: 'abort', id });
  }

  #forget(id: number): void {
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#port.setBusy(false);
  }

  #endAll(reason: KvantError): void {
    if (this.#end) return;
    this.#end = reason;
    for (const call of this.#pending.values()) call.reject(reason);
    this.#pending.clear();
    this.#port.setBusy(false);
  }
}
