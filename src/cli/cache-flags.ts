import * as z from 'zod';
import { CONTEXT_FLAGS, GENERATE_FLAGS, type Flag } from './flags.ts';

const UNITS_MS = { s: 1e3, min: 60e3, h: 3_600e3, d: 86_400e3, w: 604_800e3 } as const;
const AGE_RULE = 'must be an age such as 30d, 12h or 2w (units: s, min, h, d, w)';
const AGE = /^(\d+(?:\.\d+)?)(s|min|h|d|w)$/;

/** Milliseconds, from a text such as `30d`. */
const age = z
  .string()
  .regex(AGE, AGE_RULE)
  .transform((text) => {
    const [, value, unit] = AGE.exec(text) ?? [];
    return Number(value) * UNITS_MS[unit as keyof typeof UNITS_MS];
  });

const { cacheDir } = CONTEXT_FLAGS;

/** Of `cache ls`. */
export const CACHE_LS_FLAGS = {
  cacheDir,
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object instead of the table' },
} satisfies Record<string, Flag>;

/** Of `cache verify`. */
export const CACHE_VERIFY_FLAGS = {
  cacheDir,
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object instead of lines' },
} satisfies Record<string, Flag>;

/** Of `cache rm`. */
export const CACHE_RM_FLAGS = {
  all: {
    usage: '--all',
    kind: 'switch',
    schema: z.literal(true),
    description: 'remove all session files of the cache folder',
  },
  olderThan: {
    usage: '--older-than <age>',
    kind: 'text',
    schema: age,
    description: 'remove those of the cache folder that were not used for so long, as in 30d, 12h or 2w',
  },
  cacheDir,
  json: { ...GENERATE_FLAGS.json, description: 'print one JSON object with what was removed' },
} satisfies Record<string, Flag>;

export const CACHE_EXAMPLES = `
Examples:
  kvant cache ls
  kvant cache verify chat.kvp
  kvant cache rm --older-than 30d

kvant cache help ls, verify or rm tells the options of each.`;

export const CACHE_LS_EXAMPLES = `
One line for each file: the model, the format of its cache, tokens, sealed pages, size, time since it was last used,
path, and the title of the document or the first words of the conversation. Only headers are read: whether pages are whole,
kvant cache verify tells.

Examples:
  kvant cache ls
  kvant cache ls chat.kvp sessions/
  kvant cache ls --cache-dir /fast/kvant --json`;

export const CACHE_VERIFY_EXAMPLES = `
Compares every page with its checksum. A file is good up to its first bad page; what comes after is computed again when it
is used. Exits with 1 if a file is not whole.

Examples:
  kvant cache verify
  kvant cache verify chat.kvp
  kvant cache verify --json sessions/`;

export const CACHE_RM_EXAMPLES = `
Removes session files only: a file that is none is refused, or left alone in the folder. A document's file
comes back when the document is read again; a conversation does not.

Examples:
  kvant cache rm chat.kvp
  kvant cache rm --older-than 30d
  kvant cache rm --all --cache-dir /fast/kvant`;
