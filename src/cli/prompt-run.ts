import type {
  ChatMessage,
  ChatSendOptions,
  GenerateOptions,
  Generation,
  GenerateResult,
  Model,
} from '../engine/types.ts';
import type { PromptText } from '../engine/session-types.ts';
import type { CliContext } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { DocumentCache } from './document-cache.ts';
import type { LogitsFile } from './logits-file.ts';
import { LogitsRecorder } from './logits-recorder.ts';
import { positionsOf } from './position-range.ts';
import type { PromptInput } from './prompt-input.ts';
import { type NamedSession, SessionFile } from './session-file.ts';

/** A prompt as the command line gives it. */
export interface PromptRequest {
  readonly prompt: PromptInput;
  readonly options: CliOptions;
  readonly logits: LogitsFile | undefined;
  readonly session: NamedSession | undefined;
}

/** How a prompt is answered. */
export interface PromptRun {
  start(options: ChatSendOptions): Generation;
  /** What else ends the answer. */
  readonly aborts?: readonly AbortSignal[];
  /** Called with the result, before anything is said of it. */
  complete?(result: GenerateResult): Promise<void>;
  /** Called when the answer has been printed. */
  save?(result: GenerateResult): Promise<void>;
}

/** Within the conversation of `--session`, with the cache of a document, or just so. @throws KvantError as the library */
export async function preparePrompt(model: Model, request: PromptRequest, context: CliContext): Promise<PromptRun> {
  const { prompt, options, logits, session } = request;
  if (session) return sessionRun(await SessionFile.open(model, session, options, context), prompt);
  const text = promptText(prompt, options);
  if (logits) return logitsRun(model, logits, text, options);
  const document = prompt.kind === 'text' ? prompt.document : undefined;
  const documents = DocumentCache.of(model, options, context);
  if (!documents || document === undefined) return plainRun(model, text);
  await documents.restore({ whole: text, document: promptText({ kind: 'text', text: document }, options) });
  return {
    ...plainRun(model, text),
    save: async ({ finishReason }) => {
      if (finishReason !== 'aborted') await documents.save();
    },
  };
}

function plainRun(model: Model, text: PromptText, others: Pick<GenerateOptions, 'logProbsAt' | 'onLogProbs'> = {}) {
  return { start: (options: ChatSendOptions) => model.generate({ ...options, ...text, ...others }) };
}

async function logitsRun(
  model: Model,
  logits: LogitsFile,
  text: PromptText,
  { logitsAt }: CliOptions,
): Promise<PromptRun> {
  // Those that the model adds of its own (BOS) are counted.
  const { length } = await model.encode(text);
  const recorder = new LogitsRecorder(logits, positionsOf(logitsAt, length));
  return {
    ...plainRun(model, text, recorder.options),
    aborts: [recorder.failed],
    complete: ({ finishReason }) => recorder.finish(finishReason === 'aborted'),
  };
}

function sessionRun(session: SessionFile, prompt: PromptInput): PromptRun {
  return {
    start: (options) => session.chat.send(messageOf(session, prompt), options),
    save: (result) => session.save(result),
  };
}

/** A document that the conversation has already is not put there again. */
function messageOf(session: SessionFile, prompt: PromptInput): string {
  if (prompt.kind === 'tokens') throw new RangeError('a conversation has messages, not tokens');
  const { document, question, text } = prompt;
  return document !== undefined && question !== undefined && session.holds(document) ? question : text;
}

function promptText(prompt: PromptInput, { raw, logits, system }: CliOptions): PromptText {
  if (prompt.kind === 'tokens') return { tokens: prompt.tokenIds };
  if (raw || logits !== undefined) return { prompt: prompt.text };
  const user: ChatMessage = { role: 'user', content: prompt.text };
  return { messages: system === undefined ? [user] : [{ role: 'system', content: system }, user] };
}
