import type { EnginePort } from '../engine-client.ts';
import type { CallEvent, FromEngine, ToEngine } from '../protocol.ts';

/** A port without a worker: tests say what the worker would. */
export class FakePort implements EnginePort {
  readonly posted: ToEngine[] = [];
  busy: boolean | undefined;
  terminated = 0;
  #onMessage: (message: FromEngine) => void = () => undefined;
  #onEnd: (reason: string) => void = () => undefined;

  post(message: ToEngine): void {
    this.posted.push(structuredClone(message));
  }

  onMessage(handler: (message: FromEngine) => void): void {
    this.#onMessage = handler;
    // As with a worker of Node: whoever listens keeps the program alive.
    this.busy = true;
  }

  onEnd(handler: (reason: string) => void): void {
    this.#onEnd = handler;
  }

  setBusy(busy: boolean): void {
    this.busy = busy;
  }

  async terminate(): Promise<void> {
    this.terminated++;
    this.#onEnd('exit code 1');
  }

  receive(message: FromEngine): void {
    this.#onMessage(structuredClone(message));
  }

  event(id: number, event: CallEvent): void {
    this.receive({ kind: 'event', id, event });
  }

  result(id: number, value: unknown): void {
    this.receive({ kind: 'result', id, value });
  }

  breakDown(reason: string): void {
    this.#onEnd(reason);
  }
}
