import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { KvantError } from '../errors.ts';
import type { ChatSendOptions, Generation, GenerateResult, Model, ModelInfo, TextChunk } from '../engine/types.ts';
import { chatCommand } from './chat-command.ts';
import type { CliContext } from './cli-context.ts';
import type { InterruptSignal } from './interrupts.ts';

/** A chat whose model answers with what `answer` yields; Ctrl-C and lines come when the test says so. */
class Scene {
  readonly sent: string[] = [];
  readonly stdin = new PassThrough();
  readonly #handlers = new Set<(signal: InterruptSignal) => void>();
  readonly #texts = { stdout: '', stderr: '' };
  cleared = 0;
  closed = 0;

  readonly answer: (content: string, signal: AbortSignal) => AsyncGenerator<string>;

  constructor(answer: (content: string, signal: AbortSignal) => AsyncGenerator<string>) {
    this.answer = answer;
  }

  get stdout(): string {
    return this.#texts.stdout;
  }
  get stderr(): string {
    return this.#texts.stderr;
  }

  interrupt(): void {
    for (const handler of this.#handlers) handler('SIGINT');
  }

  async until(condition: () => boolean): Promise<void> {
    for (let turn = 0; !condition(); turn++) {
      assert.ok(turn < 10_000, `still waiting; stdout: ${this.stdout}; stderr: ${this.stderr}`);
      await nextTurn();
    }
  }

  get context(): CliContext {
    const collect = (name: 'stdout' | 'stderr') => {
      const stream = new PassThrough();
      stream.setEncoding('utf8').on('data', (text: string) => (this.#texts[name] += text));
      return stream;
    };
    return {
      load: () => Promise.resolve(this.#model()),
      stdin: this.stdin,
      stdout: collect('stdout'),
      stderr: collect('stderr'),
      env: {},
      interrupts: {
        listen: (handler) => {
          this.#handlers.add(handler);
          return () => this.#handlers.delete(handler);
        },
      },
    };
  }

  #model(): Model {
    return {
      info: { name: 'fake', kvFormat: 'q4', ctx: 64, backend: { name: 'wasm', threads: 1, isa: 'SIMD' } } as ModelInfo,
      chat: () => ({
        messages: [],
        send: (content: string, options?: ChatSendOptions) => this.#send(content, options),
        clear: () => Promise.resolve(void (this.cleared += 1)),
      }),
      close: () => Promise.resolve(void (this.closed += 1)),
    } as Partial<Model> as Model;
  }

  #send(content: string, options: ChatSendOptions = {}): Generation {
    this.sent.push(content);
    const signal = options.signal ?? new AbortController().signal;
    const { promise, resolve, reject } = Promise.withResolvers<GenerateResult>();
    const answer = this.answer(content, signal);
    async function* chunks(): AsyncGenerator<TextChunk> {
      try {
        for await (const text of answer) yield { text, tokenIds: [] };
        resolve(resultOf(signal.aborted));
      } catch (error) {
        reject(error);
        throw error;
      }
    }
    promise.catch(() => undefined);
    return { [Symbol.asyncIterator]: chunks, result: promise };
  }
}

function resultOf(aborted: boolean): GenerateResult {
  const kv = { format: 'q4', bitsPerElement: 5, bytes: 100, bytesF16: 300, tokens: 7 };
  const timings = { loadMs: 1, ttftMs: 1, prefillTps: 10, decodeTps: 20 };
  const reason = aborted ? 'aborted' : 'stop';
  return {
    text: '',
    tokenIds: [],
    kv,
    timings,
    finishReason: reason,
    seed: 1,
  } as Partial<GenerateResult> as GenerateResult;
}

async function* endless(content: string, signal: AbortSignal): AsyncGenerator<string> {
  while (!signal.aborted) {
    yield `${content}! `;
    await nextTurn();
  }
}

test('Ctrl-C stops an answer and keeps the chat; twice at the prompt it leaves', async () => {
  const scene = new Scene(endless);
  const exitCode = chatCommand({}, scene.context);
  scene.stdin.write('hello\n');
  await scene.until(() => scene.stdout.includes('hello!'));
  scene.interrupt();
  await scene.until(() => scene.stderr.includes('kv q4'));
  scene.stdin.write('again\n');
  await scene.until(() => scene.stdout.includes('again!'));
  scene.interrupt();
  await scene.until(() => scene.stderr.match(/kv q4/g)?.length === 2);
  await nextTurn();
  scene.interrupt();
  await scene.until(() => scene.stderr.includes('Ctrl-C again'));
  scene.interrupt();
  assert.equal(await exitCode, 130);
  assert.deepEqual(scene.sent, ['hello', 'again']);
  assert.equal(scene.closed, 1);
});

test('commands: /help, /clear, /exit', async () => {
  const scene = new Scene(endless);
  const exitCode = chatCommand({}, scene.context);
  scene.stdin.write('/help\n/clear\n/exit\nnever read\n');
  assert.equal(await exitCode, 0);
  assert.match(scene.stderr, /\/clear +forget the conversation/);
  assert.equal(scene.cleared, 1);
  assert.deepEqual(scene.sent, []);
});

test('goes on after an error that only one message ran into', async () => {
  const scene = new Scene(async function* (content) {
    await nextTurn();
    if (content === 'long')
      throw new KvantError('PROMPT_TOO_LONG', 'the prompt has 99 tokens, but the context holds 64');
    yield 'fine';
  });
  const exitCode = chatCommand({}, scene.context);
  scene.stdin.end('long\nshort\n');
  assert.equal(await exitCode, 1, 'where lines are piped in, the exit code tells that an answer is missing');
  assert.match(scene.stderr, /kvant: the prompt has 99 tokens/);
  assert.equal(scene.stdout, 'fine\n');
});

test('ends with the engine', async () => {
  const scene = new Scene(async function* () {
    await nextTurn();
    yield 'a';
    throw new KvantError('ENGINE_FAILED', 'the engine failed: load the model again');
  });
  scene.stdin.end('hello\n');
  await assert.rejects(chatCommand({}, scene.context), { code: 'ENGINE_FAILED' });
  assert.equal(scene.closed, 1);
});
