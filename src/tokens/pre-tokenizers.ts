import { KvantError } from '../errors.ts';

/**
 * How a byte-level vocabulary cuts text into words before merging. Each pattern in turn cuts every word so far into its
 * matches and what lies between them. The patterns are those of llama.cpp (`llm_tokenizer_bpe` in src/llama-vocab.cpp),
 * in the syntax of Oniguruma: `\s` is the Unicode property White_Space.
 */
export interface PreTokenizer {
  readonly patterns: readonly string[];
  /** A word that is in the vocabulary is taken whole, without merging. */
  readonly ignoreMerges?: boolean;
  /**
   * Text is composed (Unicode NFC) before it is cut, as the model was trained. llama.cpp leaves that out, and gives other ids for
   * decomposed text.
   */
  readonly composes?: boolean;
  /** Whether prompts begin with BOS where the file does not say. */
  readonly addBos?: boolean;
}

const CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';

/** The tiktoken shape: contractions, words with one leading non-letter, numbers, punctuation up to the line's end. */
function tiktoken(numbers: string): string {
  return `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;
}

/** As `tiktoken`, but a capital letter begins a word of its own, and contractions stay with the word before them. */
function camelCase(contractions: string, numbers: string): string {
  const lead = '[^\\r\\n\\p{L}\\p{N}]?';
  const word = `${lead}${UPPER}*${LOWER}+${contractions}|${lead}${UPPER}+${LOWER}*${contractions}`;
  return `${word}|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
}

const GPT2: PreTokenizer = { patterns: [WORDS] };
const DIGITS_GPT2: PreTokenizer = { patterns: ['\\p{N}', WORDS] };
const LLAMA3: PreTokenizer = { patterns: [tiktoken('\\p{N}{1,3}')], ignoreMerges: true, addBos: true };
const LLAMA3_MERGED: PreTokenizer = { patterns: [tiktoken('\\p{N}{1,3}')] };
const TIKTOKEN_DIGITS: PreTokenizer = { patterns: [tiktoken('\\p{N}')] };
const GPT4O: PreTokenizer = { patterns: [camelCase(`${CONTRACTIONS}?`, '\\p{N}{1,3}')] };

/** By the name that a file gives in `tokenizer.ggml.pre`. */
const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map(
  Object.entries({
    default: { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', WORDS, '\\p{N}+', '[0-9][0-9][0-9]'] },
    'gpt-2': GPT2,
    'phi-2': GPT2,
    mpt: GPT2,
    olmo: GPT2,
    jais: GPT2,
    trillion: GPT2,
    'granite-docling': GPT2,
    gigachat: GPT2,
    mellum: GPT2,
    'a.x-4.0': GPT2,
    exaone4: GPT2,
    smollm: DIGITS_GPT2,
    starcoder: DIGITS_GPT2,
    refact: DIGITS_GPT2,
    'command-r': DIGITS_GPT2,
    codeshell: DIGITS_GPT2,
    exaone: DIGITS_GPT2,
    'minerva-7b': DIGITS_GPT2,
    mellum2: DIGITS_GPT2,
    falcon: { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', WORDS, '[0-9][0-9][0-9]'] },
    llama3: LLAMA3,
    'llama-v3': LLAMA3,
    'llama-bpe': LLAMA3,
    falcon3: LLAMA3,
    'falcon-h1': LLAMA3,
    pixtral: LLAMA3,
    'midm-2.0': LLAMA3,
    lfm2: LLAMA3,
    dbrx: LLAMA3_MERGED,
    'smaug-bpe': LLAMA3_MERGED,
    glm4: LLAMA3_MERGED,
    'chatglm-bpe': LLAMA3_MERGED,
    qwen2: { ...TIKTOKEN_DIGITS, composes: true },
    'deepseek-r1-qwen': TIKTOKEN_DIGITS,
    stablelm2: TIKTOKEN_DIGITS,
    hunyuan: TIKTOKEN_DIGITS,
    'solar-open': TIKTOKEN_DIGITS,
    kormo: TIKTOKEN_DIGITS,
    megrez: TIKTOKEN_DIGITS,
    'grok-2': TIKTOKEN_DIGITS,
    tekken: { patterns: [camelCase('', '\\p{N}')], ignoreMerges: true, addBos: true },
    'gpt-4o': GPT4O,
    llama4: GPT4O,
    kanana2: GPT4O,
  } satisfies Record<string, PreTokenizer>),
);

/**
 * The pre-tokenizer of that name; a file that gives no name means `default`, as in llama.cpp.
 * @throws KvantError MODEL_UNSUPPORTED when no such pre-tokenizer is known: guessing would give other token ids than the
 * model was trained on, and bad text without any sign of why.
 */
export function preTokenizerOf(name: string | undefined): PreTokenizer {
  const preTokenizer = PRE_TOKENIZERS.get(name ?? 'default');
  if (preTokenizer === undefined) {
    throw new KvantError(
      'MODEL_UNSUPPORTED',
      `The model's pre-tokenizer '${name}' (tokenizer.ggml.pre) is not supported. Supported: ${[...PRE_TOKENIZERS.keys()].join(', ')}.`,
    );
  }
  return preTokenizer;
}
