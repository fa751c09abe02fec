import { wholeNumber } from '../engine/whole-number.ts';
import { kvFormatName, MAX_SEQUENCES } from '../engine/options.ts';
import { listOf } from './bench-flags.ts';
import { GENERATE_FLAGS, MODEL_FLAGS, type Flag, type FlagGroups } from './flags.ts';

const { model, draftModel, calibration, ctx, memory, threads, backend } = MODEL_FLAGS;

/** Of `plan`. */
export const PLAN_FLAGS = {
  model,
  draftModel,
  calibration,
  ctx,
  memory: { ...memory, description: 'the budget, as in 2GB or 1.5GiB (default: what the machine has)' },
  users: {
    usage: '--users <number>',
    kind: 'number',
    schema: wholeNumber(1, MAX_SEQUENCES),
    description: 'sequences at the same time, each with a whole context (default: 1)',
  },
  kv: {
    usage: '--kv <formats>',
    kind: 'text',
    schema: listOf(kvFormatName),
    description: 'formats to compare and to choose from, between commas (default: all that have a name of their own)',
  },
  threads,
  backend,
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object instead of the table' },
} satisfies Record<string, Flag>;

export const PLAN_FLAG_GROUPS: FlagGroups = { 'Options:': PLAN_FLAGS };
