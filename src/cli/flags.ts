import * as z from 'zod';
import {
  DEFAULT_KV_FORMAT,
  DEFAULT_MAX_CTX,
  DEFAULT_MAX_THREADS,
  KV_FORMAT_HELP,
  SAMPLING_DEFAULTS,
  chatSendOptionShape,
  loadOptionShape,
} from '../engine/options.ts';
import { positionRangeSchema } from './position-range.ts';

/** How the text after a flag becomes a value. A `list` flag may be repeated; a `switch` has no text. */
export type FlagKind = 'text' | 'number' | 'list' | 'switch';

export interface Flag<T = unknown> {
  /** As in the help, for instance `--threads <number>`. The camel-cased name is the field of `CliOptions`. */
  readonly usage: string;
  readonly kind: FlagKind;
  /** What the value may be. */
  readonly schema: z.ZodType<T>;
  readonly description: string;
  /** What a flag of the form `--flag [value]` means without one. */
  readonly valueIfNone?: string;
  /** Taken where the flag is not given. */
  readonly environmentVariable?: string;
  /** Its value is not to be shown, not even in errors. */
  readonly isSecret?: boolean;
}

/** Small models under greedy choice may repeat themselves for ever: an answer ends somewhere unless the user says where. */
export const DEFAULT_MAX_TOKENS = 1024;
/** Keeps a greedy chat from going round in circles. `generate` has none, so that its answers compare with other engines'. */
export const CHAT_REPETITION_PENALTY = 1.1;

const filePath = z.string().min(1, 'must be the path of a file');
const switchedOn = z.literal(true);

/** What a model is loaded with. */
export const MODEL_FLAGS = {
  model: {
    usage: '--model <file>',
    kind: 'text',
    schema: loadOptionShape.model,
    description: 'GGUF file of a llama, Qwen2, Qwen2.5 or Qwen3 (default: the embedded SmolLM2-135M-Instruct)',
    environmentVariable: 'KVANT_MODEL',
  },
  kv: {
    usage: '--kv <format>',
    kind: 'text',
    schema: loadOptionShape.kv,
    description: `format of the KV cache: ${KV_FORMAT_HELP}, or auto (default: ${DEFAULT_KV_FORMAT})`,
    environmentVariable: 'KVANT_KV',
  },
  calibration: {
    usage: '--calibration <file>',
    kind: 'text',
    schema: loadOptionShape.calibration,
    description:
      'what "kvant calibrate" has learnt, or none (default: what lies beside the model, as MODEL.kvant.json)',
    environmentVariable: 'KVANT_CALIBRATION',
  },
  ctx: {
    usage: '--ctx <tokens>',
    kind: 'number',
    schema: loadOptionShape.ctx,
    description: `tokens of context (default: the model's own, at most ${DEFAULT_MAX_CTX})`,
    environmentVariable: 'KVANT_CTX',
  },
  memory: {
    usage: '--memory <size>',
    kind: 'text',
    schema: loadOptionShape.memory,
    description: 'most that the process may take, as in 2GB or 1.5GiB (default: what the machine has)',
    environmentVariable: 'KVANT_MEMORY',
  },
  kvMemory: {
    usage: '--kv-memory <size>',
    kind: 'text',
    schema: loadOptionShape.kvMemory,
    description: 'size of the KV cache, as in 64MB (default: room for a whole context)',
    environmentVariable: 'KVANT_KV_MEMORY',
  },
  checkKv: {
    usage: '--check-kv [mode]',
    kind: 'text',
    schema: loadOptionShape.checkKv,
    description:
      'before the first answer, measure what the KV format loses in each layer; warn (the default) tells which layers suffer, ' +
      'raise gives them more bits; between the flag and a prompt, a mode must stand',
    valueIfNone: 'warn',
    environmentVariable: 'KVANT_CHECK_KV',
  },
  draftModel: {
    usage: '--draft-model <file>',
    kind: 'text',
    schema: loadOptionShape.draftModel,
    description:
      'GGUF file of a smaller model with the same vocabulary, which guesses the next tokens (see --speculate)',
    environmentVariable: 'KVANT_DRAFT_MODEL',
  },
  threads: {
    usage: '--threads <number>',
    kind: 'number',
    schema: loadOptionShape.threads,
    description: `kernel threads (default: one per core, at most ${DEFAULT_MAX_THREADS})`,
    environmentVariable: 'KVANT_THREADS',
  },
  backend: {
    usage: '--backend <name>',
    kind: 'text',
    schema: loadOptionShape.backend,
    description:
      'wasm (the default); wasm-128 (128-bit vectors), wasm-simd (no relaxed SIMD); webgpu (a GPU), webgpu-software (one that is computed, to try it); auto (webgpu where there is a GPU); reference (float64, slow)',
    environmentVariable: 'KVANT_BACKEND',
  },
} satisfies Record<string, Flag>;

/** How an answer is chosen and where it ends. */
export const SAMPLING_FLAGS = {
  maxTokens: {
    usage: '--max-tokens <number>',
    kind: 'number',
    schema: chatSendOptionShape.maxTokens,
    description: `most tokens of an answer; 0 generates nothing (default: ${DEFAULT_MAX_TOKENS})`,
    environmentVariable: 'KVANT_MAX_TOKENS',
  },
  temperature: {
    usage: '--temperature <number>',
    kind: 'number',
    schema: chatSendOptionShape.temperature,
    description: `0 always takes the likeliest token (default: ${SAMPLING_DEFAULTS.temperature})`,
    environmentVariable: 'KVANT_TEMPERATURE',
  },
  topK: {
    usage: '--top-k <number>',
    kind: 'number',
    schema: chatSendOptionShape.topK,
    description: `keep the k likeliest tokens, 0 keeps all (default: ${SAMPLING_DEFAULTS.topK})`,
    environmentVariable: 'KVANT_TOP_K',
  },
  topP: {
    usage: '--top-p <share>',
    kind: 'number',
    schema: chatSendOptionShape.topP,
    description: `keep the likeliest tokens that make up this share (default: ${SAMPLING_DEFAULTS.topP})`,
    environmentVariable: 'KVANT_TOP_P',
  },
  minP: {
    usage: '--min-p <share>',
    kind: 'number',
    schema: chatSendOptionShape.minP,
    description: `drop tokens below this share of the likeliest one (default: ${SAMPLING_DEFAULTS.minP})`,
    environmentVariable: 'KVANT_MIN_P',
  },
  repetitionPenalty: {
    usage: '--repetition-penalty <number>',
    kind: 'number',
    schema: chatSendOptionShape.repetitionPenalty,
    description: `divides the logits of tokens already seen, 1 is off (default: ${SAMPLING_DEFAULTS.repetitionPenalty}, in chat ${CHAT_REPETITION_PENALTY})`,
    environmentVariable: 'KVANT_REPETITION_PENALTY',
  },
  frequencyPenalty: {
    usage: '--frequency-penalty <number>',
    kind: 'number',
    schema: chatSendOptionShape.frequencyPenalty,
    description: 'taken from the logit of a token for each time that the answer has it, -2 to 2 (default: 0)',
    environmentVariable: 'KVANT_FREQUENCY_PENALTY',
  },
  presencePenalty: {
    usage: '--presence-penalty <number>',
    kind: 'number',
    schema: chatSendOptionShape.presencePenalty,
    description: 'taken once from the logits of tokens that the answer has, -2 to 2 (default: 0)',
    environmentVariable: 'KVANT_PRESENCE_PENALTY',
  },
  seed: {
    usage: '--seed <number>',
    kind: 'number',
    schema: chatSendOptionShape.seed,
    description: 'same seed, same answer (default: a random one)',
    environmentVariable: 'KVANT_SEED',
  },
  speculate: {
    usage: '--speculate <mode>',
    kind: 'text',
    schema: chatSendOptionShape.speculate,
    description:
      'guess the next tokens and keep what is right, for the same answer sooner: lookup (from the text so far), ' +
      'draft (from the draft model) or off (default: draft with --draft-model, else lookup)',
    environmentVariable: 'KVANT_SPECULATE',
  },
  stop: {
    usage: '--stop <text>',
    kind: 'list',
    schema: chatSendOptionShape.stop,
    description: 'ends the answer and is not part of it; may be repeated',
    environmentVariable: 'KVANT_STOP',
  },
} satisfies Record<string, Flag>;

/** What stands before a prompt. */
export const CONTEXT_FLAGS = {
  system: {
    usage: '--system <text>',
    kind: 'text',
    schema: z.string(),
    description: "system message, in place of the chat template's own",
    environmentVariable: 'KVANT_SYSTEM',
  },
  file: {
    usage: '--file <file>',
    kind: 'text',
    schema: filePath,
    description:
      'UTF-8 text that is put before the prompt; its pages are kept, so that the next question starts at once',
  },
  session: {
    usage: '--session <file>',
    kind: 'text',
    schema: filePath,
    description: 'go on with the conversation of a file (.kvp), or begin one; it is saved after each answer',
  },
  cache: {
    usage: '--no-cache',
    kind: 'switch',
    schema: z.literal(false),
    description: 'keep no pages of --file, and restore none',
  },
  cacheDir: {
    usage: '--cache-dir <folder>',
    kind: 'text',
    schema: z.string().min(1, 'must be the path of a folder'),
    description: "where pages of documents are kept, at most 2 GB (default: kvant in the system's folder for caches)",
    environmentVariable: 'KVANT_CACHE_DIR',
  },
} satisfies Record<string, Flag>;

/** Of `generate` alone: prompts and results as programs want them. */
export const GENERATE_FLAGS = {
  raw: {
    usage: '--raw',
    kind: 'switch',
    schema: switchedOn,
    description: 'give the prompt to the model as it is, without the chat template',
  },
  tokens: {
    usage: '--tokens <file>',
    kind: 'text',
    schema: filePath,
    description: 'prompt as token ids: a JSON array, or 16-bit little-endian numbers in a .u16 file (implies --raw)',
  },
  logits: {
    usage: '--logits <file>',
    kind: 'text',
    schema: filePath,
    description: 'write log-probabilities over the vocabulary: float32 [positions, vocabulary] (implies --raw)',
  },
  logitsAt: {
    usage: '--logits-at <start:end:step>',
    kind: 'text',
    schema: positionRangeSchema,
    description: 'prompt positions of --logits, END not included (default: the last position)',
  },
  json: {
    usage: '--json',
    kind: 'switch',
    schema: switchedOn,
    description: 'print one JSON object instead of the text as it comes',
  },
} satisfies Record<string, Flag>;

export const CHAT_FLAG_GROUPS: FlagGroups = {
  'Model:': MODEL_FLAGS,
  'Sampling:': SAMPLING_FLAGS,
  'Prompt:': CONTEXT_FLAGS,
};

export const GENERATE_FLAG_GROUPS: FlagGroups = {
  ...CHAT_FLAG_GROUPS,
  'Input and output (generate only):': GENERATE_FLAGS,
};

/** Flags by the heading under which the help shows them. */
export type FlagGroups = Readonly<Record<string, Readonly<Record<string, Flag>>>>;
