import type { PromptEncoder } from '../engine/create-request.ts';
import { KvantError } from '../errors.ts';
import type { Haystack } from './haystack.ts';
import type { NeedleQuestion, NeedleTask } from './needle-task.ts';

const INTRODUCTION = 'Remember the access codes that are hidden in the following text.';
/** Tokens that an answer may be longer than the right one; one with several values may be told in sentences. */
const SLACK_TOKENS = 4;
const SLACK_TOKENS_OF_A_VALUE = 24;

/** A question in its text, in tokens. */
export interface NeedlePrompt {
  /** The text, the question and the beginning of the answer, then the right answer. */
  readonly tokens: readonly number[];
  /** Those before the right answer. */
  readonly numPromptTokens: number;
  /** Most tokens that are generated. */
  readonly maxTokens: number;
  readonly answers: readonly {
    readonly depth: number;
    readonly value: string;
    /** Where the value's tokens are in `tokens`. */
    readonly start: number;
    readonly end: number;
  }[];
}

export interface NeedleEncoder extends PromptEncoder {
  /** Whether there is a chat template to ask with. */
  readonly hasChatTemplate: boolean;
}

/**
 * The questions of a task, each after its text, in as many tokens as fit into `length`, the answer included.
 *
 * @param first sentence of the haystack that the text begins with
 * @throws KvantError INVALID_OPTION if not even one sentence fits beside the needles
 */
export function needlePrompts(
  task: NeedleTask,
  { haystack, first, length }: { haystack: Haystack; first: number; length: number },
  encoder: NeedleEncoder,
): NeedlePrompt[] {
  const promptsWith = (numSentences: number): NeedlePrompt[] => {
    const text = haystack.text(first, numSentences, task.needles);
    return task.questions.map((question) => needlePrompt(text, question, encoder));
  };
  // Sentences side by side may take a token more or fewer than each on its own.
  let numSentences = haystack.numFitting(first, length - longest(promptsWith(0)));
  while (numSentences > 0) {
    const prompts = promptsWith(numSentences);
    if (longest(prompts) <= length) return prompts;
    numSentences -= 1;
  }
  const message = `a context of ${length} tokens has no room for ${task.needles.length} needles and text around them`;
  throw new KvantError('INVALID_OPTION', `${message}: use a larger --ctx, or fewer --depths or --lengths`);
}

function longest(prompts: readonly NeedlePrompt[]): number {
  return Math.max(...prompts.map(({ numPromptTokens, maxTokens }) => numPromptTokens + maxTokens));
}

function needlePrompt(text: string, { question, lead, answers }: NeedleQuestion, encoder: NeedleEncoder): NeedlePrompt {
  const begin = encodeQuestion(`${INTRODUCTION}\n\n${text}\n\n${question}`, encoder);
  const endings = answers.map((_, i) =>
    answers
      .slice(0, i + 1)
      .map(({ value }) => ` ${value}`)
      .join(','),
  );
  const encode = (ending: string): number[] => encoder.tokenizer.encode(lead + ending);
  const whole = encode(endings[endings.length - 1]);
  // A token may begin before a value: as many tokens are taken for what comes before as both have.
  const numBefore = (ending: string): number => begin.length + commonPrefixLength(encode(ending), whole);
  const spans = answers.map(({ depth, value }, i) => {
    const start = numBefore(i === 0 ? '' : `${endings[i - 1]},`);
    return { depth, value, start, end: i === answers.length - 1 ? begin.length + whole.length : numBefore(endings[i]) };
  });
  const numPromptTokens = spans[0].start;
  const tokens = [...begin, ...whole];
  const slackTokens = answers.length === 1 ? SLACK_TOKENS : SLACK_TOKENS_OF_A_VALUE * answers.length;
  return { tokens, numPromptTokens, maxTokens: tokens.length - numPromptTokens + slackTokens, answers: spans };
}

/** Up to where the answer begins: through the chat template, where there is one. */
function encodeQuestion(content: string, encoder: NeedleEncoder): number[] {
  if (encoder.hasChatTemplate) return encoder.chatTemplate().encode([{ role: 'user', content }]);
  const { tokenizer } = encoder;
  const ids = tokenizer.encode(`${content}\n\n`);
  return tokenizer.addBos && tokenizer.bosId !== undefined ? [tokenizer.bosId, ...ids] : ids;
}

function commonPrefixLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}
