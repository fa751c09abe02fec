import * as z from 'zod';
import { wholeNumber } from '../engine/whole-number.ts';
import { GENERATE_FLAGS, MODEL_FLAGS, type Flag } from './flags.ts';

export const CALIBRATE_DEFAULTS = { windows: 8, ctx: 2048 } as const;

const MIN_CTX = 128;
const filePath = z.string().min(1, 'must be the path of a file');
const { model, threads, backend } = MODEL_FLAGS;

/** Of `calibrate`. */
export const CALIBRATE_FLAGS = {
  model,
  text: {
    usage: '--text <file>',
    kind: 'text',
    schema: filePath,
    description: 'UTF-8 text to learn from: of the kind that the model is going to see, but not what it is measured on',
  },
  output: {
    usage: '-o, --output <file>',
    kind: 'text',
    schema: filePath,
    description: 'file to write (default: MODEL.kvant.json beside the model, where it is found by itself)',
  },
  windows: {
    usage: '--windows <number>',
    kind: 'number',
    schema: wholeNumber(1, 10_000),
    description: `windows of the text to learn from (default: ${CALIBRATE_DEFAULTS.windows}, or as many as it has)`,
  },
  ctx: {
    usage: '--ctx <tokens>',
    kind: 'number',
    schema: wholeNumber(MIN_CTX, 1_000_000),
    description: `tokens of a window (default: ${CALIBRATE_DEFAULTS.ctx}, at most the model's own context)`,
  },
  transformsOnly: {
    usage: '--transforms-only',
    kind: 'switch',
    schema: z.literal(true),
    description: 'do not learn which layers deserve more bits: a third of the time, but no mixN formats',
  },
  threads,
  backend,
  json: { ...GENERATE_FLAGS.json, description: 'print what was learnt as one JSON object, without matrices' },
} satisfies Record<string, Flag>;

export const CALIBRATE_EXAMPLES = `
Learns from a text how a model's keys and values are best stored: a matrix for each head, how channels share rounding errors,
and which layers deserve more bits. Formats of 6 bits and fewer then lose about half as much, and mixN formats (as in
--kv mix2.5) spend N bits an element where they count. Takes minutes; nothing of the model is changed.

Examples:
  kvant calibrate --model model.gguf --text corpus.txt
  kvant calibrate --model model.gguf --text corpus.txt -o my.kvant.json
  kvant chat --model model.gguf --kv mix2.5 --calibration my.kvant.json`;
