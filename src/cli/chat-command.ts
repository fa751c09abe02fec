import { type ErrorCode, KvantError } from '../errors.ts';
import type { Model } from '../engine/types.ts';
import { dim } from './answer.ts';
import { ChatSession } from './chat-session.ts';
import { type CliContext, isInteractive } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { errorReport, EXIT } from './exit-code.ts';
import { Interruptible } from './interrupts.ts';
import { loadModel } from './load-model.ts';
import type { MessageEvent, MessageSource } from './message-source.ts';
import { PipedMessages } from './piped-messages.ts';
import { findSession, SessionFile, withSessionFormat } from './session-file.ts';
import { TerminalMessages } from './terminal-messages.ts';
import { readTextFile } from './text-file.ts';

/** What only one message can run into: the chat goes on. */
const TURN_ERRORS: ReadonlySet<ErrorCode> = new Set(['PROMPT_TOO_LONG', 'INVALID_OPTION']);

/**
 * A chat: a turn for each message, until there are no more. The KV cache stays between turns, so that each computes only what is new.
 *
 * @returns the exit code: 1 if a message of those that were piped in could not be answered, or the conversation not be saved in the end
 * @throws KvantError, and what `load` throws
 */
export async function chatCommand(options: CliOptions, context: CliContext): Promise<number> {
  const document = options.file === undefined ? undefined : await readTextFile(options.file);
  const named = await findSession(options);
  const loading = new Interruptible(context.interrupts);
  let model: Model;
  try {
    model = await loadModel(withSessionFormat(options, named), context, loading.signal);
  } catch (error) {
    if (loading.exitCode !== undefined) return loading.exitCode;
    throw error;
  } finally {
    loading.end();
  }
  try {
    const session = named && (await SessionFile.open(model, named, options, context));
    return await converse(new ChatSession({ model, document, session }, options, context), context);
  } finally {
    await model.close();
  }
}

async function converse(session: ChatSession, context: CliContext): Promise<number> {
  const { stdin, stdout, stderr } = context;
  const interactive = isInteractive(context);
  if (interactive) stderr.write(`${dim(session.greeting, stderr)}\n`);
  const messages = interactive ? new TerminalMessages(stdin, stdout) : new PipedMessages(stdin);
  try {
    const exitCode = await new ChatLoop(session, messages, context).run();
    return exitCode === EXIT.ok && session.isUnsaved ? EXIT.failure : exitCode;
  } finally {
    messages.close();
  }
}

/** Takes messages until they end, or until the second Ctrl-C in a row that has nothing to stop. */
class ChatLoop {
  readonly #session: ChatSession;
  readonly #messages: MessageSource;
  readonly #context: CliContext;
  /** What the source was asked for and has not given yet. */
  #asked: Promise<MessageEvent> | undefined;
  #exitCode: number = EXIT.ok;

  constructor(session: ChatSession, messages: MessageSource, context: CliContext) {
    this.#session = session;
    this.#messages = messages;
    this.#context = context;
  }

  async run(): Promise<number> {
    let wasInterrupted = false;
    for (;;) {
      const event = await this.#next();
      if (event.kind === 'end') return this.#exitCode;
      if (event.kind === 'terminated') return EXIT.SIGTERM;
      if (event.kind === 'interrupt') {
        if (wasInterrupted) return EXIT.SIGINT;
        this.#context.stderr.write('(Ctrl-C again, or Ctrl-D, leaves)\n');
      } else if ((await this.#take(event.text)) === 'leave') return this.#exitCode;
      wasInterrupted = event.kind === 'interrupt';
    }
  }

  async #next(): Promise<MessageEvent | { readonly kind: 'terminated' }> {
    const waiting = new Interruptible(this.#context.interrupts);
    const interrupted = Promise.withResolvers<undefined>();
    waiting.signal.addEventListener('abort', () => interrupted.resolve(undefined), { once: true });
    try {
      this.#asked ??= this.#messages.next();
      const event = await Promise.race([this.#asked, interrupted.promise]);
      if (event === undefined) return { kind: waiting.exitCode === EXIT.SIGTERM ? 'terminated' : 'interrupt' };
      this.#asked = undefined;
      return event;
    } finally {
      waiting.end();
    }
  }

  async #take(message: string): Promise<'stay' | 'leave'> {
    const turn = new Interruptible(this.#context.interrupts);
    try {
      const outcome = await this.#session.take(message, turn.signal);
      if (turn.exitCode !== EXIT.SIGTERM) return outcome;
      this.#exitCode = turn.exitCode;
      return 'leave';
    } catch (error) {
      if (!(error instanceof KvantError) || !TURN_ERRORS.has(error.code)) throw error;
      const { stderr, env } = this.#context;
      stderr.write(`${errorReport(error, Boolean(env['KVANT_DEBUG']))}\n`);
      // Nobody reads along where lines are piped in: the exit code has to say that an answer is missing.
      if (!isInteractive(this.#context)) this.#exitCode = EXIT.failure;
      return 'stay';
    } finally {
      turn.end();
    }
  }
}
