import { Template } from '@huggingface/jinja';
import { KvantError } from '../errors.ts';
import { ContentGuard, Disguise } from './content-guard.ts';
import type { ModelMetadata } from './tokenizer-metadata.ts';
import { optional } from './tokenizer-metadata.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The key of a GGUF file that holds the template. */
export const TEMPLATE_KEY = 'tokenizer.chat_template';

/** A message as templates read it. */
export interface TemplateMessage {
  /** A word such as `system`, `user` or `assistant`; which ones there are, the model's template decides. */
  readonly role: string;
  readonly content: string;
}

export interface RenderOptions {
  /** Whether the prompt ends where the model's answer begins. Default true. */
  readonly addGenerationPrompt?: boolean;
}

/**
 * The chat template of a model: messages to a prompt in the form that the model was trained on.
 *
 * What a message says never becomes a special token. Yet its text must reach the template as it is, and merges may join
 * it to the text around it; so message and template are not encoded apart. Instead, the few characters that make a
 * special token of a message's text are swapped for private-use characters before rendering. The special tokens found in
 * the rendered prompt are then the template's own; the prompt is split there, the swapped characters are swapped back,
 * and each part is encoded as plain text. Where no message spells a special token, that is the same as encoding the
 * whole rendered prompt with its special tokens.
 */
export class ChatTemplate {
  readonly #tokenizer: Tokenizer;
  readonly #source: string;
  readonly #template: Template;
  readonly #guard: ContentGuard;

  /**
   * @param metadata key-value pairs of a GGUF file; reads `tokenizer.chat_template`
   * @throws KvantError MODEL_UNSUPPORTED when the file holds no template, MODEL_INVALID when it cannot be parsed.
   */
  constructor(metadata: ModelMetadata, tokenizer: Tokenizer) {
    const source = optional(metadata, TEMPLATE_KEY, 'string');
    if (source === undefined || source.trim() === '') {
      throw new KvantError(
        'MODEL_UNSUPPORTED',
        `The model has no chat template (${TEMPLATE_KEY}), so it cannot chat. Use --raw to give it the prompt as it is.`,
      );
    }
    this.#tokenizer = tokenizer;
    this.#source = source;
    this.#template = parse(source);
    this.#guard = new ContentGuard(tokenizer.splitter.specialTokens);
  }

  /**
   * The prompt as text.
   * @throws KvantError MODEL_INVALID when the template fails or refuses the messages, INVALID_OPTION for a role that is
   * not a word.
   */
  render(messages: readonly TemplateMessage[], { addGenerationPrompt = true }: RenderOptions = {}): string {
    for (const { role } of messages) checkRole(role);
    const tokenText = (id: number | undefined): string => (id === undefined ? '' : this.#tokenizer.tokenText(id));
    try {
      return this.#template.render({
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: addGenerationPrompt,
        bos_token: tokenText(this.#tokenizer.bosId),
        eos_token: tokenText(this.#tokenizer.eosId),
      });
    } catch (error) {
      throw templateError('failed on these messages', error);
    }
  }

  /**
   * The prompt as token ids, with BOS where the model wants it, once. Special tokens that messages spell stay text.
   * @throws as `render`
   */
  encode(messages: readonly TemplateMessage[], options: RenderOptions = {}): number[] {
    const { splitter, addBos, bosId } = this.#tokenizer;
    const contents = messages.map(({ content }) => content);
    const disguise = new Disguise([this.#source, ...splitter.specialTokens, ...contents]);
    const guarded = messages.map(({ role, content }) => ({
      role,
      content: disguise.hide(content, this.#guard.exposedIndices(content)),
    }));
    const segments = splitter
      .split(this.render(guarded, options))
      .map((segment) => ('text' in segment ? { text: disguise.reveal(segment.text) } : segment));
    const ids = this.#tokenizer.encodeSegments(segments);
    return addBos && bosId !== undefined && ids[0] !== bosId ? [bosId, ...ids] : ids;
  }
}

function parse(source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw templateError('cannot be parsed', error);
  }
}

/** Templates put the role into their markup, some as `<|role|>`: it must not be able to bring its own. */
function checkRole(role: string): void {
  if (/^[\p{L}\p{N}_-]+$/u.test(role)) return;
  throw new KvantError(
    'INVALID_OPTION',
    `A message has the role '${role}'. A role is one word, such as system, user or assistant.`,
  );
}

function templateError(problem: string, cause: unknown): KvantError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new KvantError(
    'MODEL_INVALID',
    `The model's chat template (${TEMPLATE_KEY}) ${problem}: ${reason}. Change the messages, or use --raw to give the prompt without a template.`,
    { cause },
  );
}
