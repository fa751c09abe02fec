import type * as z from 'zod';
import { KvantError } from '../errors.ts';
import { BENCH_FLAGS } from './bench-flags.ts';
import type { EXACT_FLAGS, KLD_FLAGS, NEEDLE_FLAGS, PPL_FLAGS } from './eval-flags.ts';
import { CONTEXT_FLAGS, GENERATE_FLAGS, MODEL_FLAGS, SAMPLING_FLAGS, type Flag } from './flags.ts';
import type { PLAN_FLAGS } from './plan-flags.ts';

const FLAGS = { ...MODEL_FLAGS, ...SAMPLING_FLAGS, ...CONTEXT_FLAGS, ...GENERATE_FLAGS };

/** Checked values of the flags that were given. */
export type OptionsOf<Flags extends Readonly<Record<string, Flag>>> = {
  readonly [Name in keyof Flags]?: z.infer<Flags[Name]['schema']>;
};

export type CliOptions = OptionsOf<typeof FLAGS>;
/** Of `bench`, whose `kv` and `ctx` are lists. */
export type BenchOptions = OptionsOf<typeof BENCH_FLAGS>;
export type KldOptions = OptionsOf<typeof KLD_FLAGS>;
export type PplOptions = OptionsOf<typeof PPL_FLAGS>;
export type NeedleOptions = OptionsOf<typeof NEEDLE_FLAGS>;
export type ExactOptions = OptionsOf<typeof EXACT_FLAGS>;
/** Of `plan`. */
export type PlanCliOptions = OptionsOf<typeof PLAN_FLAGS>;

/** The text of a flag, before it is checked. */
export interface GivenFlag {
  readonly value: unknown;
  readonly source: 'cli' | 'env';
}

/**
 * Checks flags against the schemas of their options.
 *
 * @param given by field name
 * @throws KvantError INVALID_OPTION naming the flag, or the environment variable, and what it may be
 */
export function parseCliOptions(given: Readonly<Record<string, GivenFlag>>): CliOptions {
  const options = parseFlags(FLAGS, given);
  checkCombinations(options, given);
  return options;
}

/** The same for the flags of `bench`. @throws KvantError INVALID_OPTION */
export function parseBenchOptions(given: Readonly<Record<string, GivenFlag>>): BenchOptions {
  const options = parseFlags(BENCH_FLAGS, given);
  for (const name of ['peerKv', 'peerThreads'] as const) {
    if (options[name] && !options.against) throw refused(flagName(BENCH_FLAGS[name]), 'needs --against ENGINE');
  }
  return options;
}

/** Of one command's flags. @throws KvantError INVALID_OPTION */
export function parseFlags<Flags extends Readonly<Record<string, Flag>>>(
  flags: Flags,
  given: Readonly<Record<string, GivenFlag>>,
): OptionsOf<Flags> {
  const values = Object.entries(flags).flatMap(([name, flag]) => {
    return Object.hasOwn(given, name) ? [[name, parseFlag(flag, given[name])] as const] : [];
  });
  return Object.fromEntries(values) as OptionsOf<Flags>;
}

/** The flag's name alone: `--threads`. */
export function flagName(flag: Flag): string {
  const words = flag.usage.split(' ');
  return words.find((word) => word.startsWith('--')) ?? words[0];
}

/** A message of the library, which calls options as its callers spell them, with the flags' names: `option "ctx"` is `--ctx`. */
export function withFlagNames(message: string): string {
  const flags: Readonly<Record<string, Flag>> = FLAGS;
  return message.replace(/\boption "(\w+)"/g, (text, name: string) => {
    return Object.hasOwn(flags, name) ? flagName(flags[name]) : text;
  });
}

function parseFlag(flag: Flag, { value, source }: GivenFlag): unknown {
  const result = flag.schema.safeParse(flag.kind === 'number' ? toNumber(String(value)) : value);
  if (result.success) return result.data;
  const name = source === 'env' ? `${flag.environmentVariable}=` : `${flagName(flag)} `;
  const { message, path } = result.error.issues[0];
  // One item of a list that is wrong: the list came as one, or between commas.
  const items: readonly unknown[] = Array.isArray(value) ? value : String(value).split(',');
  const refused = path.length > 0 ? items[path[0] as number] : value;
  throw new KvantError(
    'INVALID_OPTION',
    `${name}${flag.isSecret ? '(not shown)' : String(refused) || '""'}: ${message}`,
  );
}

/** NaN, which every schema refuses, for what is no number; `Number('')` would be 0. */
function toNumber(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}

/** Refuses what would otherwise be dropped in silence. */
function checkCombinations(options: CliOptions, given: Readonly<Record<string, GivenFlag>>): void {
  const { raw, tokens, logits, logitsAt, file, session, speculate, draftModel } = options;
  const system = given['system']?.source === 'cli';
  const withoutTemplate = raw ? '--raw' : tokens ? '--tokens' : logits ? '--logits' : undefined;
  if (logitsAt && !logits) throw refused('--logits-at', 'needs --logits FILE, where the log-probabilities go');
  if (system && withoutTemplate)
    throw refused('--system', `has no place with ${withoutTemplate}: it is part of the template`);
  if (speculate === 'draft' && !draftModel)
    throw refused('--speculate draft', 'needs --draft-model FILE, which drafts');
  if (session && withoutTemplate)
    throw refused('--session', `has no place with ${withoutTemplate}: a conversation has messages`);
  if (given['cacheDir']?.source === 'cli' && (!file || session)) {
    throw refused('--cache-dir', 'needs --file FILE, whose pages it keeps, and no --session, which keeps them itself');
  }
  if (tokens && file) throw refused('--file', 'cannot be put before --tokens: give the whole prompt as tokens');
}

function refused(flag: string, why: string): KvantError {
  return new KvantError('INVALID_OPTION', `${flag} ${why}`);
}
