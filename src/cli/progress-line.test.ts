import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { ProgressLine } from './progress-line.ts';

function scene(terminal: { isTTY?: boolean; columns?: number } = { isTTY: true, columns: 20 }, type = 'xterm') {
  const stream = Object.assign(new PassThrough(), terminal);
  const clock = { nowMs: 0 };
  const line = new ProgressLine(stream, type, () => clock.nowMs);
  const written = (): string => String((stream.read() as Buffer | null) ?? '');
  const showAt = (nowMs: number, text: string): string => {
    clock.nowMs = nowMs;
    line.show(() => text);
    return written();
  };
  return { line, showAt, written };
}

test('appears after a second, at most ten times a second, and is erased', () => {
  const { line, showAt, written } = scene();
  assert.equal(showAt(999, '10%'), '');
  assert.equal(showAt(1000, '20%'), '\r\u001b[K20%');
  assert.equal(showAt(1099, '30%'), '');
  assert.equal(showAt(1100, '40%'), '\r\u001b[K40%');
  line.clear();
  assert.equal(written(), '\r\u001b[K');
  line.clear();
  assert.equal(written(), '');
});

test('is cut before the last column, so that it never wraps', () => {
  assert.equal(scene().showAt(1000, 'x'.repeat(40)), `\r\u001b[K${'x'.repeat(19)}`);
});

test('stays away where it could not be erased: no terminal, or a dumb one', () => {
  assert.equal(scene({}).showAt(5000, '20%'), '');
  assert.equal(scene({ isTTY: true }, 'dumb').showAt(5000, '20%'), '');
});
