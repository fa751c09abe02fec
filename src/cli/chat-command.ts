import { KvantError } from '../errors.ts';
import type { Chat, GenerateResult, Model } from '../engine/types.ts';
import { dim, showPrefill, streamAnswer, writeSummary } from './answer.ts';
import { type CliContext, isInteractive } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { errorReport, EXIT } from './exit-code.ts';
import { Interruptible } from './interrupts.ts';
import { LineSource } from './line-source.ts';
import { loadModel, samplingOf } from './load-model.ts';
import { Output } from './output.ts';
import { ProgressLine } from './progress-line.ts';
import { joinDocument } from './prompt-input.ts';
import { summaryLine } from './summary-line.ts';
import { readTextFile } from './text-file.ts';

const HELP = `/help     this list
/clear    forget the conversation
/stats    what the last answer took
/exit     leave (also Ctrl-D, or Ctrl-C twice)
Ctrl-C stops an answer and keeps the chat.
`;

/**
 * A chat: a turn for each line of the standard input, on a terminal with a prompt, until the input ends. The KV cache stays between
 * turns, so that each computes only what is new.
 *
 * @returns the exit code
 * @throws KvantError, and what `load` throws
 */
export async function chatCommand(options: CliOptions, context: CliContext): Promise<number> {
  const document = options.file === undefined ? undefined : await readTextFile(options.file);
  const loading = new Interruptible(context.interrupts);
  let model: Model;
  try {
    model = await loadModel(options, context, loading.signal);
  } catch (error) {
    if (loading.exitCode !== undefined) return loading.exitCode;
    throw error;
  } finally {
    loading.end();
  }
  try {
    return await new ChatLoop(model, document, options, context).run();
  } finally {
    await model.close();
  }
}

class ChatLoop {
  readonly #model: Model;
  readonly #options: CliOptions;
  readonly #context: CliContext;
  readonly #chat: Chat;
  readonly #lines: LineSource;
  readonly #output: Output;
  /** Put before the next message, once. */
  #document: string | undefined;
  #lastResult: GenerateResult | undefined;

  constructor(model: Model, document: string | undefined, options: CliOptions, context: CliContext) {
    this.#model = model;
    this.#document = document;
    this.#options = options;
    this.#context = context;
    this.#chat = model.chat(options.system === undefined ? {} : { system: options.system });
    this.#output = new Output(context.stdout);
    this.#lines = new LineSource(context, '> ');
  }

  async run(): Promise<number> {
    const { stderr } = this.#context;
    if (isInteractive(this.#context)) stderr.write(`${dim(this.#greeting(), stderr)}\n`);
    let interrupts = 0;
    try {
      while (!this.#output.closed.aborted) {
        const event = await this.#lines.next();
        if (event.kind === 'end') break;
        if (event.kind === 'interrupt') {
          interrupts += 1;
          if (interrupts === 2) return EXIT.SIGINT;
          stderr.write('\n(Ctrl-C again, or Ctrl-D, leaves)\n');
          continue;
        }
        interrupts = 0;
        if ((await this.#handle(event.text)) === 'leave') break;
      }
      return EXIT.ok;
    } finally {
      this.#lines.close();
    }
  }

  #greeting(): string {
    const { name, kvFormat, ctx } = this.#model.info;
    return `${name}, kv ${kvFormat}, ${ctx.toLocaleString('en-US')} tokens of context. /help lists the commands.`;
  }

  async #handle(line: string): Promise<'go on' | 'leave'> {
    const text = line.trim();
    if (text === '') return 'go on';
    if (!text.startsWith('/')) {
      await this.#answer(text);
      return 'go on';
    }
    if (text === '/exit' || text === '/quit') return 'leave';
    await this.#command(text);
    return 'go on';
  }

  async #command(text: string): Promise<void> {
    const { stderr } = this.#context;
    if (text === '/help') stderr.write(HELP);
    else if (text === '/clear') {
      await this.#chat.clear();
      stderr.write('the conversation is forgotten\n');
    } else if (text === '/stats') {
      const { backend } = this.#model.info;
      stderr.write(this.#lastResult ? `${summaryLine(this.#lastResult, backend)}\n` : 'nothing was answered yet\n');
    } else stderr.write(`kvant: unknown command ${text.split(' ')[0]}: /help lists the commands\n`);
  }

  async #answer(text: string): Promise<void> {
    const { stderr, env } = this.#context;
    const prefill = new ProgressLine(stderr, env['TERM']);
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#output.closed]);
    try {
      const generation = this.#chat.send(joinDocument(this.#document, text) ?? text, {
        ...samplingOf(this.#options),
        onPrefillProgress: showPrefill(prefill),
        signal,
      });
      const result = await this.#lines.during(streamAnswer(generation, this.#output, prefill), () => abort.abort());
      this.#document = undefined;
      this.#lastResult = result;
      await this.#output.flush();
      if (!this.#output.closed.aborted) {
        writeSummary(stderr, result, this.#model.info, { contextFull: '/clear starts over; --ctx makes it larger' });
      }
    } catch (error) {
      // The chat goes on after what only this message ran into.
      if (!(error instanceof KvantError) || error.code === 'ENGINE_FAILED' || error.code === 'ENGINE_CLOSED')
        throw error;
      stderr.write(`${errorReport(error, Boolean(env['KVANT_DEBUG']))}\n`);
    }
  }
}
