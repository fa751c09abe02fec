import { KvantError } from '../errors.ts';
import type { BENCH_FLAGS } from './bench-flags.ts';
import {
  FIRST_TOKEN_EXAMPLES,
  FIRST_TOKEN_FLAGS,
  LOOKUP_EXAMPLES,
  LOOKUP_FLAGS,
  PREEMPTION_EXAMPLES,
  PREEMPTION_FLAGS,
} from './bench-reuse-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { RESIDENCY_EXAMPLES, RESIDENCY_FLAGS } from './bench-residency-flags.ts';
import { SERVE_LOAD_EXAMPLES, SERVE_LOAD_FLAGS } from './bench-serve-flags.ts';
import { USERS_EXAMPLES, USERS_FLAG_GROUPS, USERS_FLAGS } from './bench-users-flags.ts';
import type { CliContext } from './cli-context.ts';
import { parseFlags, type GivenFlag, type OptionsOf } from './cli-options.ts';
import type { Flag, FlagGroups } from './flags.ts';

/** A measurement with flags of its own: `kvant bench NAME`. */
export interface BenchCommand {
  readonly name: string;
  readonly description: string;
  readonly flags: FlagGroups;
  readonly examples: string;
  /** @returns the exit code. @throws KvantError INVALID_OPTION, and what loading and generating throw */
  readonly run: (given: Readonly<Record<string, GivenFlag>>, context: CliContext) => Promise<number>;
}

/** In the order of the help. What a measurement needs is loaded when it runs. */
export const BENCH_COMMANDS: readonly BenchCommand[] = [
  {
    name: 'users',
    description: 'throughput of many users at once',
    flags: USERS_FLAG_GROUPS,
    examples: USERS_EXAMPLES,
    run: (given, context) =>
      measure(USERS_FLAGS, given, context, async (options, session) => {
        const { benchUsers } = await import('./bench-users.ts');
        return benchUsers(options, session, context);
      }),
  },
  {
    name: 'serve',
    description: 'a server under the load of streaming clients, some of which leave midway',
    flags: { 'Options:': SERVE_LOAD_FLAGS },
    examples: SERVE_LOAD_EXAMPLES,
    run: (given, context) =>
      measure(SERVE_LOAD_FLAGS, given, context, async (options, session) => {
        const { benchServe } = await import('./bench-serve.ts');
        return benchServe(options, session, context);
      }),
  },
  {
    name: 'residency',
    description: 'how much of chats stays in a KV cache of a certain size; computes no tokens',
    flags: { 'Options:': RESIDENCY_FLAGS },
    examples: RESIDENCY_EXAMPLES,
    run: (given, context) =>
      measure(RESIDENCY_FLAGS, given, context, async (options, session) => {
        const { benchResidency } = await import('./bench-residency.ts');
        return benchResidency(options, session);
      }),
  },
  {
    name: 'first-token',
    description: 'how long a second question about a document waits for its answer',
    flags: { 'Options:': FIRST_TOKEN_FLAGS },
    examples: FIRST_TOKEN_EXAMPLES,
    run: (given, context) =>
      measure(FIRST_TOKEN_FLAGS, given, context, async (options, session) => {
        const { benchFirstToken } = await import('./bench-first-token.ts');
        return benchFirstToken(options, session, context);
      }),
  },
  {
    name: 'preemption',
    description: 'how long a sequence takes to go on that has lost its pages',
    flags: { 'Options:': PREEMPTION_FLAGS },
    examples: PREEMPTION_EXAMPLES,
    run: (given, context) =>
      measure(PREEMPTION_FLAGS, given, context, async (options, session) => {
        const { benchPreemption } = await import('./bench-preemption.ts');
        return benchPreemption(options, session, context);
      }),
  },
  {
    name: 'lookup',
    description: 'decoding with prompt lookup beside decoding without',
    flags: { 'Options:': LOOKUP_FLAGS },
    examples: LOOKUP_EXAMPLES,
    run: (given, context) =>
      measure(LOOKUP_FLAGS, given, context, async (options, session) => {
        const { benchLookup } = await import('./bench-lookup.ts');
        return benchLookup(options, session, context);
      }),
  },
];

/** Flags before the measurement's name are those of `bench` or of the program: they would be dropped in silence. */
function refuseForeign(flags: BenchFlags, given: Readonly<Record<string, GivenFlag>>): void {
  for (const [name, { source }] of Object.entries(given)) {
    if (source === 'env' || Object.hasOwn(flags, name)) continue;
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new KvantError('INVALID_OPTION', `--${flag} has no place here: --help lists what the measurement knows`);
  }
}

type BenchFlags = Readonly<Record<string, Flag>> & Pick<typeof BENCH_FLAGS, 'json'>;

async function measure<Flags extends BenchFlags>(
  flags: Flags,
  given: Readonly<Record<string, GivenFlag>>,
  context: CliContext,
  run: (options: OptionsOf<Flags>, session: BenchSession) => Promise<object>,
): Promise<number> {
  refuseForeign(flags, given);
  const options = parseFlags(flags, given);
  const [{ measureInSession }, { describeMachine }] = await Promise.all([
    import('./bench-session.ts'),
    import('./machine.ts'),
  ]);
  return measureInSession(options.json === true, context, async (session) => {
    const section = await run(options, session).catch((error: unknown) => {
      throw withoutContextFlag(error);
    });
    return { node: process.version, machine: describeMachine(), ...section };
  });
}

/** The context follows from other flags here: an error about it must not name a flag that is none. */
function withoutContextFlag(error: unknown): unknown {
  const option = 'option "ctx"';
  if (!(error instanceof KvantError) || !error.message.startsWith(option)) return error;
  const message = `ask for fewer tokens: the context that they need${error.message.slice(option.length)}`;
  return new KvantError(error.code, message, { cause: error });
}
