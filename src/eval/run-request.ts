import type { Engine } from '../engine/engine.ts';
import type { EngineRequest, RequestEvents } from '../engine/request.ts';
import type { GenerateResult } from '../engine/types.ts';

/**
 * Runs a request to its end, unless the signal ends it before its next step.
 *
 * @throws KvantError as the engine does; the signal's reason if it has aborted
 */
export async function runRequest(
  engine: Engine,
  request: EngineRequest,
  events: RequestEvents,
  signal: AbortSignal,
): Promise<GenerateResult> {
  signal.throwIfAborted();
  const { id, result } = engine.submit(request, events);
  const abort = (): void => engine.abort(id);
  signal.addEventListener('abort', abort);
  try {
    const finished = await result;
    signal.throwIfAborted();
    return finished;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
