import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { Output } from './output.ts';

function failing(code: string): Writable {
  return new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })),
  });
}

test('writing waits for a slow reader', async () => {
  const stream = new PassThrough({ highWaterMark: 4 });
  const output = new Output(stream);
  let isWritten = false;
  const written = output.write('12345678').then(() => (isWritten = true));
  await nextTurn();
  assert.equal(isWritten, false);
  assert.equal(String(stream.read()), '12345678');
  await written;
});

test('a reader that leaves ends the output quietly, also in the middle of a write', async () => {
  const output = new Output(failing('EPIPE'));
  await output.write('a');
  await nextTurn();
  assert.equal(output.closed.aborted, true);
  await output.write('b');
  await output.flush();

  const slow = new PassThrough({ highWaterMark: 1 });
  const waiting = new Output(slow);
  const written = waiting.write('abc');
  slow.destroy(Object.assign(new Error('EPIPE'), { code: 'EPIPE' }));
  await written;
  assert.equal(waiting.closed.aborted, true);
});

test('any other failure is an error that says why', async () => {
  const output = new Output(failing('ENOSPC'));
  await output.write('a').catch(() => undefined);
  await nextTurn();
  const expected = { code: 'FILE_ERROR', message: 'cannot write to stdout: no space left on the device' };
  await assert.rejects(output.write('b'), expected);
  await assert.rejects(output.flush(), expected);
});
