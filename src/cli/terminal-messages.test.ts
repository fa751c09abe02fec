import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import type { MessageEvent } from './message-source.ts';
import { TerminalMessages } from './terminal-messages.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const PASTE = { start: '\u001b[200~', end: '\u001b[201~' };

class FakeTerminal {
  readonly input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (raw: boolean) => void (this.isRaw = raw),
  });
  readonly output = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  isRaw = false;
  shown = '';

  constructor() {
    this.output.setEncoding('utf8').on('data', (text: string) => (this.shown += text));
  }
}

function open(): { terminal: FakeTerminal; messages: TerminalMessages } {
  const terminal = new FakeTerminal();
  return { terminal, messages: new TerminalMessages(terminal.input, terminal.output) };
}

/** The event after somebody has typed. */
async function after(terminal: FakeTerminal, messages: TerminalMessages, typed: string): Promise<MessageEvent> {
  const event = messages.next();
  terminal.input.write(typed);
  return event;
}

test('a line is a message; the terminal is raw only while somebody is asked', async () => {
  const { terminal, messages } = open();
  assert.equal(terminal.isRaw, false);
  const event = messages.next();
  assert.equal(terminal.isRaw, true);
  terminal.input.write('hello\r');
  assert.deepEqual(await event, { kind: 'message', text: 'hello' });
  assert.equal(terminal.isRaw, false);
  assert.match(terminal.shown, /> /);
  messages.close();
});

test('a paste is one message, and ends only with Enter', async () => {
  const { terminal, messages } = open();
  const event = messages.next();
  let isGiven = false;
  void event.then(() => (isGiven = true));
  terminal.input.write(`${PASTE.start}one\rtwo\r"""${PASTE.end}`);
  await nextTurn();
  assert.equal(isGiven, false);
  terminal.input.write('!\r');
  assert.deepEqual(await event, { kind: 'message', text: 'one\ntwo\n"""!' });
  messages.close();
});

test('a paste into a message that has begun goes on with it', async () => {
  const { terminal, messages } = open();
  const event = await after(terminal, messages, `"""\rone\r${PASTE.start}two\rthree\r${PASTE.end}"""\r`);
  assert.deepEqual(event, { kind: 'message', text: 'one\ntwo\nthree' });
  messages.close();
});

test('lines that come at once without the marks of a paste wait for their turns', async () => {
  const { terminal, messages } = open();
  assert.deepEqual(await after(terminal, messages, 'one\rtwo\r'), { kind: 'message', text: 'one' });
  assert.deepEqual(await messages.next(), { kind: 'message', text: 'two' });
  messages.close();
});

test('Ctrl-C takes back what was typed, and is an event only where nothing was', async () => {
  const { terminal, messages } = open();
  const event = await after(terminal, messages, `half a line${CTRL_C}"""\rhalf a block\r${CTRL_C}whole\r`);
  assert.deepEqual(event, { kind: 'message', text: 'whole' });
  assert.deepEqual(await after(terminal, messages, CTRL_C), { kind: 'interrupt' });
  assert.deepEqual(await after(terminal, messages, 'again\r'), { kind: 'message', text: 'again' });
  messages.close();
});

test('Ctrl-D ends, and leaves the terminal as it was', async () => {
  const { terminal, messages } = open();
  assert.deepEqual(await after(terminal, messages, CTRL_D), { kind: 'end' });
  assert.deepEqual(await messages.next(), { kind: 'end' });
  assert.equal(terminal.isRaw, false);
  assert.ok(terminal.shown.lastIndexOf('\u001b[?2004l') > terminal.shown.lastIndexOf('\u001b[?2004h'));
  assert.equal(terminal.input.listenerCount('keypress'), 0);
});
