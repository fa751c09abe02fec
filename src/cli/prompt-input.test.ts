import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CliOptions } from './cli-options.ts';
import { DEFAULT_PROMPT, readPrompt, type PromptInput } from './prompt-input.ts';
import { FakeContext, type FakeContextOptions } from './testing/fake-context.ts';

let folder: string;
let book: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-prompt-'));
  book = join(folder, 'book.txt');
  await writeFile(book, 'A book.\n\n');
});
after(() => rm(folder, { recursive: true }));

interface Given {
  readonly words?: readonly string[];
  readonly allowDefault?: boolean;
  readonly options?: CliOptions;
  readonly world?: FakeContextOptions;
}

function read({ words = [], allowDefault = false, options = {}, world = {} }: Given): Promise<PromptInput> {
  return readPrompt({ words, allowDefault }, options, new FakeContext(world), new AbortController().signal);
}

async function textOf(given: Given): Promise<string> {
  const prompt = await read(given);
  assert.ok(prompt.kind === 'text');
  return prompt.text;
}

test('words are the prompt, and stdin is not read then', async () => {
  assert.equal(await textOf({ words: ['Why', 'is it?'], world: { stdin: 'ignored' } }), 'Why is it?');
});

test('what is piped in is the prompt, without the line break at its end', async () => {
  assert.equal(await textOf({ world: { stdin: 'Why?\n\n' } }), 'Why?\n');
  assert.equal(await textOf({ world: { stdin: 'Why?\r\n' }, words: ['-'] }), 'Why?');
});

test('a document stands before the prompt, after it a blank line; alone it is the prompt', async () => {
  assert.equal(await textOf({ options: { file: book }, words: ['Who?'] }), 'A book.\n\nWho?');
  assert.equal(await textOf({ options: { file: book }, world: { stdin: 'Who?\n' } }), 'A book.\n\nWho?');
  assert.equal(await textOf({ options: { file: book }, world: { stdin: '' } }), 'A book.\n\n');
});

test('the built-in prompt is answered only where nothing else is there and it is allowed', async () => {
  assert.equal(await textOf({ allowDefault: true, world: { stdin: '' } }), DEFAULT_PROMPT);
  assert.equal(await textOf({ allowDefault: true, world: { stdin: 'Why?' } }), 'Why?');
  await assert.rejects(read({ world: { stdin: '' } }), { code: 'INVALID_OPTION', message: /^no prompt: give it as/ });
  await assert.rejects(read({ world: { terminal: true } }), { code: 'INVALID_OPTION', message: /^no prompt/ });
});

test('stdin that stays silent is left alone after three seconds, where the prompt can do without', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const context = new FakeContext();
  const signal = new AbortController().signal;
  const prompt = readPrompt({ words: [], allowDefault: true }, {}, context, signal);
  t.mock.timers.tick(3000);
  assert.deepEqual(await prompt, { kind: 'text', text: DEFAULT_PROMPT });
  assert.match(context.texts.stderr, /^kvant: stdin sent nothing for 3 s/);
  assert.equal(context.stdin.destroyed, true);
});

test('waiting for stdin can be aborted', async () => {
  const controller = new AbortController();
  const prompt = readPrompt({ words: ['-'], allowDefault: false }, {}, new FakeContext(), controller.signal);
  controller.abort();
  await assert.rejects(prompt, { name: 'AbortError' });
});

test('what is empty, binary or given twice is refused', async () => {
  const ids = join(folder, 'ids.json');
  await writeFile(ids, '[1, 2]');
  assert.deepEqual(await read({ options: { tokens: ids } }), { kind: 'tokens', tokenIds: [1, 2] });
  await assert.rejects(
    read({ options: { tokens: ids }, words: ['x'] }),
    /the prompt as words or as --tokens, not both/,
  );
  await assert.rejects(read({ words: [' '] }), /the prompt is empty/);
  await assert.rejects(read({ words: ['-'], world: { stdin: '\n' } }), /nothing was piped in/);
  await assert.rejects(read({ world: { stdin: 'a\0b' } }), { code: 'FILE_ERROR', message: /stdin is binary/ });
});
