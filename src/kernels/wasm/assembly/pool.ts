import {
  CONTROL_ARRIVED,
  CONTROL_GENERATION,
  CONTROL_NUM_THREADS,
  CONTROL_PHASE,
  CONTROL_SLEEPERS,
  CONTROL_STOP,
} from './commands';

/**
 * Threads meet here. A thread that waits spins first, about as long as the longest wait within a step, since to be woken takes tens of
 * microseconds; then it sleeps, so that more threads than cores still make progress.
 */
const SPINS = 50_000;
/** A thread that has not come after this long is lost: trap, rather than hang. */
const LOST_AFTER_SECONDS = 120;
const SECOND: i64 = 1_000_000_000;

export function barrier(control: usize): void {
  const numThreads = load<i32>(control, CONTROL_NUM_THREADS);
  if (numThreads == 1) return;
  const phase = atomic.load<i32>(control, CONTROL_PHASE);
  if (atomic.add<i32>(control, 1, CONTROL_ARRIVED) + 1 == numThreads) {
    atomic.store<i32>(control, 0, CONTROL_ARRIVED);
    atomic.store<i32>(control, phase + 1, CONTROL_PHASE);
    wake(control, CONTROL_PHASE);
    return;
  }
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(control, CONTROL_PHASE) != phase) return;
  }
  for (let second = 0; second < LOST_AFTER_SECONDS; second++) {
    sleep(control, CONTROL_PHASE, phase, SECOND);
    if (atomic.load<i32>(control, CONTROL_PHASE) != phase) return;
  }
  unreachable();
}

/** Starts the command list on all threads. */
export function announceCommands(control: usize): void {
  atomic.add<i32>(control, 1, CONTROL_GENERATION);
  wake(control, CONTROL_GENERATION);
}

/** Waits until the command list's generation is another than `seen`. Returns it, or 0 when the thread is to end. */
export function awaitCommands(control: usize, seen: i32): i32 {
  for (let i = 0; i < SPINS; i++) {
    const generation = atomic.load<i32>(control, CONTROL_GENERATION);
    if (generation != seen) return ended(control) ? 0 : generation;
  }
  while (atomic.load<i32>(control, CONTROL_GENERATION) == seen) sleep(control, CONTROL_GENERATION, seen, -1);
  return ended(control) ? 0 : atomic.load<i32>(control, CONTROL_GENERATION);
}

/** Until the word is another than `expected`; perhaps for less. */
function sleep(control: usize, word: usize, expected: i32, nanoseconds: i64): void {
  atomic.add<i32>(control, 1, CONTROL_SLEEPERS);
  atomic.wait<i32>(control + word, expected, nanoseconds);
  atomic.sub<i32>(control, 1, CONTROL_SLEEPERS);
}

/**
 * Wakes those who wait for a word that has changed. Nobody is missed: a sleeper counts itself before it looks at the word a last
 * time, and the word has changed before sleepers are counted here.
 */
// @ts-ignore: decorator
@inline
function wake(control: usize, word: usize): void {
  if (atomic.load<i32>(control, CONTROL_SLEEPERS) > 0) atomic.notify(control + word, -1);
}

// @ts-ignore: decorator
@inline
function ended(control: usize): bool {
  return atomic.load<i32>(control, CONTROL_STOP) != 0;
}
