import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LoadedSession } from '../engine/session-types.ts';
import type { ChatMessage } from '../engine/types.ts';
import { KvantError } from '../errors.ts';
import { saveKvp } from '../sessions/kvp-file-node.ts';
import { randomSession } from '../sessions/testing/random-session.ts';
import { runProgram } from './program.ts';
import { FakeContext, type FakeContextOptions } from './testing/fake-context.ts';
import { fakeModel, type FakeModelOptions } from './testing/fake-model.ts';
import { until } from './testing/until.ts';

/** What the commands make of `--session`, with a model that computes nothing. */

const MESSAGES: readonly ChatMessage[] = [
  { role: 'user', content: 'A book.\n\nWho?' },
  { role: 'assistant', content: 'Nobody.' },
];
const RESTORED: LoadedSession = {
  ...{ numPages: 93, numPagesInFile: 93, numTokens: 5952, kv: 'q4' },
  ...{ tokens: Array<number>(6010).fill(1), messages: MESSAGES },
};

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'kvant-session-'))));
after(() => rm(folder, { recursive: true }));

async function run(args: readonly string[], model: FakeModelOptions = {}, world: FakeContextOptions = {}) {
  const { load, log } = fakeModel({ restored: RESTORED, ...model });
  const context = new FakeContext({ load, stdin: '', ...world });
  const exitCode = await runProgram(args, context);
  return { exitCode, ...context.texts, log };
}

/** A file whose header says what is asked for. */
async function sessionFile(name: string, messages: readonly ChatMessage[] | undefined = MESSAGES, kvFormat = 'q4') {
  const path = join(folder, name);
  const { header, pages } = randomSession({ changes: { kvFormat, ...(messages && { messages }) } });
  await saveKvp(path, header, pages);
  return path;
}

describe('a conversation in a file', () => {
  test('begins where there is no file, and is saved once the answer is there', async () => {
    const path = join(folder, 'new.kvp');
    for (const args of [['Why?'], ['generate', 'Why?']]) {
      const { exitCode, stdout, stderr, log } = await run([...args, '--session', path, '--system', 'Be brief.']);
      assert.equal(exitCode, 0, stderr);
      assert.equal(stdout, 'fine\n');
      assert.doesNotMatch(stderr, /restored/);
      assert.deepEqual([log.messages, log.opens], [['Why?'], []]);
      const answered = [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Why?' },
        { role: 'assistant', content: 'fine' },
      ];
      assert.deepEqual(log.saves, [{ path, messages: answered }]);
    }
  });

  test('goes on where there is one, in its format, and says what was restored', async () => {
    const path = await sessionFile('old.kvp', MESSAGES, 'q8');
    const { exitCode, stderr, log } = await run(['--session', path, 'And why?']);
    assert.equal(exitCode, 0);
    assert.ok(stderr.startsWith(`kvant: restored 5,952 of 6,010 tokens from ${path}\n`), stderr);
    assert.deepEqual([log.loads[0].kv, log.messages], ['q8', ['And why?']]);
    assert.deepEqual(
      log.opens,
      [{ path, options: { kv: 'q4' } }],
      'the fake has loaded q4, and the file must be in it',
    );
    assert.deepEqual(log.saves[0].messages.slice(0, 3), [...MESSAGES, { role: 'user', content: 'And why?' }]);
    const other = await run(['--session', path, '--kv', 'q4', 'And why?']);
    assert.equal(other.log.loads[0].kv, 'q4', 'what is asked for is not overruled');
  });

  test('is told what was not restored', async () => {
    const path = await sessionFile('damaged.kvp');
    const restored = { ...RESTORED, numPages: 3, numTokens: 196, problem: 'option "kvMemory" makes it larger' };
    const { stderr } = await run(['--session', path, 'Why?'], { restored });
    assert.match(
      stderr,
      /^kvant: restored 196 of 6,010 tokens from .*\nkvant: .*: --kv-memory makes it larger; the rest is computed again\n/,
    );
  });

  test('in a chat is saved after each answer', async () => {
    const path = await sessionFile('chat.kvp');
    const { exitCode, stderr, log } = await run(['chat', '--session', path], {}, { stdin: 'one\ntwo\n/clear\n' });
    assert.equal(exitCode, 0);
    assert.deepEqual(
      log.saves.map(({ messages }) => messages.length),
      [4, 6],
    );
    assert.match(stderr, /the conversation is forgotten; the next answer replaces it in its file\n/);
  });

  test('does not get a document twice', async () => {
    const file = join(folder, 'book.txt');
    await writeFile(file, 'A book.\n');
    const path = await sessionFile('book.kvp');
    const once = await run(['--session', path, '--file', file, 'Where?']);
    assert.deepEqual(once.log.messages, ['Where?']);
    const chat = await run(['chat', '--session', path, '--file', file], {}, { stdin: 'When?\n' });
    assert.deepEqual(chat.log.messages, ['When?']);
    const begun = await run(['--session', join(folder, 'none.kvp'), '--file', file, 'Where?']);
    assert.deepEqual(begun.log.messages, ['A book.\n\nWhere?']);
    assert.deepEqual(once.log.folderLoads, [], 'the conversation keeps its pages itself');
  });

  test('is saved as far as an interrupted answer came, and left alone if it did not begin', async () => {
    const path = join(folder, 'interrupted.kvp');
    for (const [firstWord, numSaves] of [
      ['word', 1],
      ['', 0],
    ] as const) {
      async function* endless(_: string, signal: AbortSignal): AsyncGenerator<string> {
        if (firstWord) yield firstWord;
        await until(() => signal.aborted);
      }
      const { load, log } = fakeModel({ answer: endless });
      const context = new FakeContext({ load, stdin: '' });
      const exitCode = runProgram(['--session', path, 'Why?'], context);
      await until(() => log.sends.length > 0 && context.texts.stdout === firstWord);
      context.interrupt();
      assert.equal(await exitCode, 130);
      assert.equal(log.saves.length, numSaves);
      assert.equal(log.numCloses, 1);
    }
  });
});

describe('what is no conversation to go on with', () => {
  test('is refused before a model is loaded, with what to do', async () => {
    const text = join(folder, 'text.kvp');
    await writeFile(text, 'text');
    const withSystem = await sessionFile('system.kvp', [{ role: 'system', content: 'Be long.' }, ...MESSAGES]);
    const old = await sessionFile('version.kvp');
    const bytes = await readFile(old);
    bytes[8] = 9;
    await writeFile(old, bytes);
    const document = join(folder, 'document.kvp');
    const { header, pages } = randomSession();
    await saveKvp(document, header, pages);
    for (const [args, code, message] of [
      [['--session', text], 1, /is no session file of Kvant.*Check the path \(another --session FILE begins anew\)\n$/],
      [['--session', old], 1, /version 9 of the session format.*kvant cache rm ".*version\.kvp" removes this one\)\n$/],
      [['--session', document], 1, /holds a document and no conversation: use another file with --session\n$/],
      [['--session', folder], 1, /cannot read .*kvant-session-/],
      [['--session', join(folder, 'none', 'a.kvp')], 1, /cannot read ".*none": no such file or directory\n$/],
      [['--session', join(text, 'a.kvp')], 1, /a part of the path is not a directory\n$/],
      [
        ['--session', withSystem, '--system', 'Be brief.'],
        2,
        /--system contradicts ".*system\.kvp", whose conversation began with the system message "Be long\.": leave --system out/,
      ],
      [['--session', await sessionFile('plain.kvp'), '--system', 'x'], 2, /began without a system message/],
      [['--session', text, '--raw'], 2, /^kvant: --session has no place with --raw: a conversation has messages\n$/],
      [['--session', text, '--file', text, '--cache-dir', folder], 2, /^kvant: --cache-dir needs --file FILE/],
    ] as const) {
      const { exitCode, stderr, log } = await run([...args, 'Why?']);
      assert.match(stderr, message);
      assert.equal(exitCode, code, args.join(' '));
      assert.equal(log.loads.length, 0);
    }
    const same = await run(['--session', withSystem, '--system', 'Be long.', 'Why?']);
    assert.equal(same.exitCode, 0, same.stderr);
  });

  test('needs a prompt: the built-in one is not put into a conversation', async () => {
    const { exitCode, stderr } = await run(['--session', join(folder, 'empty.kvp')]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /^kvant: no prompt/);
  });

  test('of another model is refused with the ways out, and the file stays', async () => {
    const path = await sessionFile('model.kvp');
    const restored = new KvantError('SESSION_MISMATCH', 'it has another format: set option "kv" to "q4"');
    for (const command of [['Why?'], ['chat']]) {
      const { exitCode, stderr, log } = await run(['--session', path, ...command], { restored }, { stdin: 'Why?\n' });
      assert.equal(exitCode, 1);
      assert.match(
        stderr,
        /^kvant: it has another format: set --kv to "q4" \(another --session FILE begins anew, kvant cache rm ".*" removes this one\)\n$/,
      );
      assert.deepEqual([log.saves, log.numCloses], [[], 1]);
    }
  });
});

test('a conversation that cannot be saved is an error after the answer; a chat goes on', async () => {
  const path = join(folder, 'full.kvp');
  const saveError = new KvantError('FILE_ERROR', 'cannot write: no space');
  const once = await run(['--session', path, 'Why?'], { saveError });
  assert.deepEqual([once.exitCode, once.stdout], [1, 'fine\n']);
  assert.match(once.stderr, /\nkvant: cannot write: no space\n$/);
  const chat = await run(['chat', '--session', path], { saveError }, { stdin: 'one\ntwo\n' });
  assert.deepEqual([chat.exitCode, chat.stdout], [1, 'fine\nfine\n']);
});
