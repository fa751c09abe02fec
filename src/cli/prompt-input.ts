import { KvantError } from '../errors.ts';
import type { CliContext } from './cli-context.ts';
import type { CliOptions } from './cli-options.ts';
import { readPipedInput } from './piped-input.ts';
import { readTextFile } from './text-file.ts';
import { readTokenFile } from './token-file.ts';

export type PromptInput = TextPrompt | { readonly kind: 'tokens'; readonly tokenIds: readonly number[] };

export interface TextPrompt {
  readonly kind: 'text';
  /** The whole. */
  readonly text: string;
  /** Its parts where there is a document: that with which the text begins, and what was asked about it. */
  readonly document?: string;
  readonly question?: string;
}

/** Answered where nothing was asked and nobody can be asked. */
export const DEFAULT_PROMPT = 'What is the capital of France, and what is it known for?';

/** How long stdin may stay silent where the prompt can also come from elsewhere. */
const STDIN_PATIENCE_MS = 3000;

/** Where a prompt may come from, beside the options. */
export interface PromptSources {
  /** Words of the command line. A single `-` stands for stdin. */
  readonly words: readonly string[];
  /** Whether `DEFAULT_PROMPT` may be answered; otherwise a prompt must be given. */
  readonly allowDefault: boolean;
}

/**
 * Puts the prompt together: `--tokens`, or the `--file` and after a blank line the words, or in their absence what is piped in.
 *
 * @throws KvantError INVALID_OPTION if there is no prompt, or too many; FILE_ERROR if one cannot be read
 */
export async function readPrompt(
  { words, allowDefault }: PromptSources,
  options: CliOptions,
  context: CliContext,
  signal: AbortSignal,
): Promise<PromptInput> {
  if (options.tokens !== undefined) {
    if (words.length > 0) throw usageError('give the prompt as words or as --tokens, not both');
    return { kind: 'tokens', tokenIds: await readTokenFile(options.tokens) };
  }
  const document = options.file === undefined ? undefined : await readTextFile(options.file);
  const question = await readQuestion(words, document !== undefined || allowDefault, context, signal);
  const text = joinDocument(document, question) ?? (allowDefault ? DEFAULT_PROMPT : undefined);
  if (text === undefined) throw usageError('no prompt: give it as an argument, pipe it in, or use --file or --tokens');
  if (text.trim() === '') throw usageError('the prompt is empty');
  if (document === undefined) return { kind: 'text', text };
  return question === undefined
    ? { kind: 'text', text, document }
    : { kind: 'text', text, document: document.trimEnd(), question };
}

/** The document, a blank line, the question; either alone where the other is missing. */
export function joinDocument(document: string | undefined, question: string | undefined): string | undefined {
  if (document === undefined) return question;
  return question === undefined ? document : `${document.trimEnd()}\n\n${question}`;
}

async function readQuestion(
  words: readonly string[],
  optional: boolean,
  context: CliContext,
  signal: AbortSignal,
): Promise<string | undefined> {
  const fromStdin = words.length === 1 && words[0] === '-';
  if (words.length > 0 && !fromStdin) return words.join(' ');
  const input = await readPipedInput(context.stdin, optional && !fromStdin ? STDIN_PATIENCE_MS : undefined, signal);
  if (input.kind === 'silent') {
    const seconds = STDIN_PATIENCE_MS / 1000;
    context.stderr.write(
      `kvant: stdin sent nothing for ${seconds} s and is left alone (to wait for it, use the prompt -)\n`,
    );
  }
  if (input.kind === 'empty' && fromStdin) throw usageError('no prompt: nothing was piped in');
  return input.kind === 'text' ? input.text : undefined;
}

function usageError(message: string): KvantError {
  return new KvantError('INVALID_OPTION', message);
}
