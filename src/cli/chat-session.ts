import type { Chat, ChatMessage, GenerateResult, Model } from '../engine/types.ts';
import { KvantError } from '../errors.ts';
import { cutHint, showPrefill, streamAnswer, writeSummary } from './answer.ts';
import type { CliContext } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { DocumentCache } from './document-cache.ts';
import { errorReport } from './exit-code.ts';
import { CHAT_REPETITION_PENALTY } from './flags.ts';
import { formatBytes, formatCount } from './format.ts';
import { samplingOf } from './load-model.ts';
import { Output } from './output.ts';
import { ProgressLine } from './progress-line.ts';
import { joinDocument } from './prompt-input.ts';
import type { SessionFile } from './session-file.ts';
import { summaryLine } from './summary-line.ts';

const HELP = `/help     this list
/clear    forget the conversation and free its cache
/stats    the model, its memory, and what the last answer took
/exit     leave (also Ctrl-D, or Ctrl-C twice)
Ctrl-C stops an answer and keeps the chat. A line that ends in \\ goes on in the next one; lines between two lines of """
are one message.
`;

/** A word after a slash, alone or before an argument; `/etc/passwd` is a message. */
const COMMAND = /^\/(\w+)(?:\s|$)/;

/** What a chat is held with. */
export interface ChatParts {
  readonly model: Model;
  /** Put before the first message, and before the first one after /clear. */
  readonly document: string | undefined;
  /** The file in which the conversation lives. */
  readonly session: SessionFile | undefined;
}

/** A conversation, and the commands that its messages may be. Answers go to stdout, everything else to stderr. */
export class ChatSession {
  readonly #model: Model;
  readonly #chat: Chat;
  readonly #options: CliOptions;
  readonly #context: CliContext;
  readonly #output: Output;
  readonly #document: string | undefined;
  readonly #documentCache: DocumentCache | undefined;
  readonly #session: SessionFile | undefined;
  #documentIsNext: boolean;
  #lastResult: GenerateResult | undefined;
  #isUnsaved = false;

  constructor({ model, document, session }: ChatParts, options: CliOptions, context: CliContext) {
    this.#model = model;
    this.#session = session;
    this.#chat = session?.chat ?? model.chat(options.system === undefined ? {} : { system: options.system });
    this.#document = document;
    this.#documentIsNext = document !== undefined && !session?.holds(document);
    this.#documentCache = DocumentCache.of(model, options, context);
    this.#options = options;
    this.#context = context;
    this.#output = new Output(context.stdout);
  }

  /** Whether the last answer is not in the file of the conversation. */
  get isUnsaved(): boolean {
    return this.#isUnsaved;
  }

  get greeting(): string {
    const { name, kvFormat, ctx } = this.#model.info;
    return `${name}, kv ${kvFormat}, ${formatCount(ctx)} tokens of context. /help lists the commands.`;
  }

  /** Answers a message or obeys it, if it is a command. @throws what the generation or the output throws */
  async take(message: string, signal: AbortSignal): Promise<'stay' | 'leave'> {
    const command = COMMAND.exec(message)?.[1];
    if (command === 'exit' || command === 'quit') return 'leave';
    if (command === undefined) await this.#answer(message, signal);
    else this.#context.stderr.write(await this.#obey(command));
    return this.#output.closed.aborted ? 'leave' : 'stay';
  }

  async #answer(message: string, signal: AbortSignal): Promise<void> {
    const { stderr, env } = this.#context;
    const prefill = new ProgressLine(stderr, env['TERM']);
    const document = this.#documentIsNext ? this.#document : undefined;
    const content = joinDocument(document, message) ?? message;
    if (document !== undefined) await this.#restore(document.trimEnd(), content);
    const generation = this.#chat.send(content, {
      ...samplingOf({ repetitionPenalty: CHAT_REPETITION_PENALTY, ...this.#options }),
      onPrefillProgress: showPrefill(prefill),
      signal: AbortSignal.any([signal, this.#output.closed]),
    });
    const result = await streamAnswer(generation, this.#output, prefill);
    this.#documentIsNext = false;
    this.#lastResult = result;
    await this.#output.flush();
    if (!this.#output.closed.aborted) this.#writeSummary(result);
    await this.#save(result);
  }

  /** What is known of the document, before its first question. */
  async #restore(document: string, content: string): Promise<void> {
    const asUser = (text: string) => {
      const messages: readonly ChatMessage[] = [...this.#chat.messages, { role: 'user', content: text }];
      return { messages };
    };
    await this.#documentCache?.restore({ whole: asUser(content), document: asUser(document) });
  }

  async #save(result: GenerateResult): Promise<void> {
    if (result.finishReason !== 'aborted') await this.#documentCache?.save();
    if (!this.#session) return;
    try {
      await this.#session.save(result);
      this.#isUnsaved = false;
    } catch (error) {
      if (!(error instanceof KvantError) || error.code !== 'FILE_ERROR') throw error;
      this.#isUnsaved = true;
      this.#context.stderr.write(`${errorReport(error, false)}\n`);
    }
  }

  #writeSummary(result: GenerateResult): void {
    const hint = cutHint(result, this.#options, this.#model.info);
    const more = result.finishReason === 'context' ? ', /clear starts over' : '';
    writeSummary(this.#context.stderr, result, this.#model.info, hint && hint + more);
  }

  async #obey(command: string): Promise<string> {
    switch (command) {
      case 'help':
        return HELP;
      case 'clear':
        await this.#chat.clear();
        this.#documentIsNext = this.#document !== undefined;
        this.#lastResult = undefined;
        return `the conversation is forgotten${this.#session ? '; the next answer replaces it in its file' : ''}\n`;
      case 'stats':
        return this.#stats();
      default:
        return `kvant: unknown command /${command}: /help lists the commands (a space before the slash sends it)\n`;
    }
  }

  #stats(): string {
    const { info } = this.#model;
    const { weightBytes, pageBytes, scratchBytes } = info.memory;
    const memory = [
      `weights ${formatBytes(weightBytes)}`,
      `cache ${formatBytes(pageBytes)}`,
      `scratch ${formatBytes(scratchBytes)}`,
    ];
    const tokens = `${formatCount(this.#lastResult?.kv.tokens ?? 0)} of ${formatCount(info.ctx)} tokens`;
    const answer = this.#lastResult ? summaryLine(this.#lastResult, info.backend) : 'nothing was answered yet';
    return [
      `${info.name}: ${info.architecture}, ${formatCount(info.numParameters / 1e6)} M parameters, ${info.path}`,
      `memory: ${memory.join(', ')}`,
      `context: ${tokens} in ${formatCount(this.#chat.messages.length)} messages`,
      answer,
      '',
    ].join('\n');
  }
}
