import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageLines } from './message-lines.ts';

function messagesOf(lines: readonly string[]): (string | undefined)[] {
  const message = new MessageLines();
  return lines.map((line) => message.push(line));
}

test('a line is a message', () => {
  assert.deepEqual(messagesOf(['one', '', ' two ']), ['one', '', ' two ']);
});

test('a backslash at the end goes on in the next line', () => {
  assert.deepEqual(messagesOf(['a\\', 'b\\', 'c', 'd']), [undefined, undefined, 'a\nb\nc', 'd']);
});

test('lines between two marks are one message, backslashes and empty lines included', () => {
  assert.deepEqual(messagesOf(['"""', 'a\\', '', '  b', '"""']), [...Array<undefined>(4), 'a\\\n\n  b']);
});

test('a mark inside a message that goes on by a backslash is text', () => {
  assert.deepEqual(messagesOf(['a\\', '"""']), [undefined, 'a\n"""']);
});

test('the end of the input ends a message that is open', () => {
  const message = new MessageLines();
  assert.equal(message.end(), undefined);
  message.push('"""');
  message.push('a');
  assert.equal(message.isOpen, true);
  assert.equal(message.end(), 'a');
  assert.equal(message.isOpen, false);
});
