import {
  CONTROL_ARRIVED,
  CONTROL_GENERATION,
  CONTROL_NUM_THREADS,
  CONTROL_PHASE,
  CONTROL_STOP,
} from './commands';

/**
 * Threads meet here. A thread that waits spins first, since the others are microseconds away, then sleeps, so that more threads than
 * cores still make progress.
 */
const SPINS = 4000;
/** A thread that has not come after this long is lost: trap, rather than hang. */
const LOST_AFTER_SECONDS = 120;

export function barrier(control: usize): void {
  const numThreads = load<i32>(control, CONTROL_NUM_THREADS);
  if (numThreads == 1) return;
  const phase = atomic.load<i32>(control, CONTROL_PHASE);
  if (atomic.add<i32>(control, 1, CONTROL_ARRIVED) + 1 == numThreads) {
    atomic.store<i32>(control, 0, CONTROL_ARRIVED);
    atomic.store<i32>(control, phase + 1, CONTROL_PHASE);
    atomic.notify(control + CONTROL_PHASE, -1);
    return;
  }
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(control, CONTROL_PHASE) != phase) return;
  }
  for (let second = 0; second < LOST_AFTER_SECONDS; second++) {
    if (atomic.load<i32>(control, CONTROL_PHASE) != phase) return;
    atomic.wait<i32>(control + CONTROL_PHASE, phase, 1_000_000_000);
  }
  unreachable();
}

/** Waits until the command list's generation is another than `seen`. Returns it, or 0 when the thread is to end. */
export function awaitCommands(control: usize, seen: i32): i32 {
  for (let i = 0; i < SPINS; i++) {
    const generation = atomic.load<i32>(control, CONTROL_GENERATION);
    if (generation != seen) return ended(control) ? 0 : generation;
  }
  while (atomic.load<i32>(control, CONTROL_GENERATION) == seen) {
    atomic.wait<i32>(control + CONTROL_GENERATION, seen, -1);
  }
  return ended(control) ? 0 : atomic.load<i32>(control, CONTROL_GENERATION);
}

// @ts-ignore: decorator
@inline
function ended(control: usize): bool {
  return atomic.load<i32>(control, CONTROL_STOP) != 0;
}
