import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Interruptible, ProcessInterrupts } from './interrupts.ts';
import { FakeContext } from './testing/fake-context.ts';

test('a signal aborts the work that goes on, and tells the exit code', () => {
  const context = new FakeContext();
  const [first, second] = [new Interruptible(context.interrupts), new Interruptible(context.interrupts)];
  second.end();
  context.interrupt('SIGTERM');
  assert.equal(first.signal.aborted, true);
  assert.equal(first.exitCode, 143);
  assert.equal(second.signal.aborted, false);
  assert.equal(second.exitCode, undefined);
});

test('of the process: the second signal ends it at once, one that follows within 100 ms is the same', () => {
  const exits: number[] = [];
  let nowMs = 0;
  const interrupts = new ProcessInterrupts(
    (code) => exits.push(code),
    () => nowMs,
  );
  const signals: string[] = [];
  const stop = interrupts.listen((signal) => signals.push(signal));
  const raise = (atMs: number): void => {
    nowMs = atMs;
    process.emit('SIGINT');
  };
  raise(0);
  raise(50);
  assert.deepEqual([signals, exits], [['SIGINT'], []]);
  raise(500);
  assert.deepEqual([signals, exits], [['SIGINT'], [130]]);
  stop();
  assert.equal(process.listenerCount('SIGINT'), 0);

  const stopNext = interrupts.listen((signal) => signals.push(signal));
  raise(550);
  assert.equal(signals.length, 1, 'a repetition does not reach what comes next');
  raise(900);
  assert.equal(signals.length, 2);
  stopNext();
});
