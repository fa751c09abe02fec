import { Argument, Command, CommanderError, Option } from 'commander';
import { kvantVersion } from '../engine/version-node.ts';
import { KvantError } from '../errors.ts';
import { BENCH_COMMANDS } from './bench-commands.ts';
import { BENCH_FLAG_GROUPS, BENCHMARKS, type Benchmark } from './bench-flags.ts';
import type { BenchSession } from './bench-session.ts';
import {
  CACHE_EXAMPLES,
  CACHE_LS_EXAMPLES,
  CACHE_LS_FLAGS,
  CACHE_RM_EXAMPLES,
  CACHE_RM_FLAGS,
  CACHE_VERIFY_EXAMPLES,
  CACHE_VERIFY_FLAGS,
} from './cache-flags.ts';
import { CALIBRATE_EXAMPLES, CALIBRATE_FLAGS } from './calibrate-flags.ts';
import { type CliContext, isInteractive } from './cli-context.ts';
import {
  type CliOptions,
  flagName,
  type GivenFlag,
  parseBenchOptions,
  parseCliOptions,
  parseFlags,
} from './cli-options.ts';
import {
  EVAL_EXAMPLES,
  EXACT_EXAMPLES,
  EXACT_FLAGS,
  KLD_EXAMPLES,
  KLD_FLAGS,
  NEEDLE_EXAMPLES,
  NEEDLE_FLAGS,
  PPL_EXAMPLES,
  PPL_FLAGS,
} from './eval-flags.ts';
import { errorReport, EXIT, exitCodeOf } from './exit-code.ts';
import { CHAT_FLAG_GROUPS, type Flag, type FlagGroups, GENERATE_FLAG_GROUPS, GENERATE_FLAGS } from './flags.ts';
import { generateCommand } from './generate-command.ts';
import {
  DESCRIPTION,
  ROOT_EXAMPLES,
  GENERATE_EXAMPLES,
  CHAT_EXAMPLES,
  BENCH_EXAMPLES,
  PLAN_EXAMPLES,
} from './help-texts.ts';
import { Output } from './output.ts';
import { PLAN_FLAG_GROUPS, PLAN_FLAGS } from './plan-flags.ts';
import { SERVE_EXAMPLES, SERVE_FLAG_GROUPS } from './serve-flags.ts';

/**
 * Runs the program.
 *
 * @param args without the names of node and the script
 * @returns the exit code; errors have been reported on stderr
 */
export async function runProgram(args: readonly string[], context: CliContext): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(await kvantVersion(), context, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has written its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    context.stderr.write(`${errorReport(error, Boolean(context.env['KVANT_DEBUG']))}\n`);
    return exitCodeOf(error);
  }
}

function createProgram(version: string, context: CliContext, exit: (code: number) => void): Command {
  const help = new Output(context.stdout);
  const program = new Command('kvant')
    .description(DESCRIPTION)
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => void help.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: (text, write) => write(`${errorReport(text.replace(/^error: /, ''), false)}\n`),
      getOutHelpWidth: () => context.stdout.columns ?? 100,
      getErrHelpWidth: () => context.stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .argument('[prompt...]', 'what to answer; - reads it from stdin')
    .action(async (words: string[], _values: object, command: Command) => {
      const options = parseCliOptions(givenFlags(command));
      const hasPrompt = words.length > 0 || options.file !== undefined || options.tokens !== undefined;
      if (hasPrompt || !isInteractive(context)) {
        exit(await generateCommand({ words, allowDefault: options.session === undefined }, options, context));
      } else {
        exit(await chat(options, context));
      }
    });
  addFlags(program, GENERATE_FLAG_GROUPS);
  addGenerate(program, context, exit);
  addChat(program, context, exit);
  addServe(program, context, exit);
  addBench(program, context, exit);
  addEval(program, context, exit);
  addPlan(program, context, exit);
  addCalibrate(program, context, exit);
  addCache(program, context, exit);
  return program.addHelpText('after', ROOT_EXAMPLES);
}

function addGenerate(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command('generate')
    .description('answer one prompt; the default where there is one')
    .argument('[prompt...]', 'what to answer; - reads it from stdin')
    .action(async (words: string[], _values: object, command: Command) => {
      const options = parseCliOptions(givenFlags(command));
      exit(await generateCommand({ words, allowDefault: false }, options, context));
    });
  addFlags(command, GENERATE_FLAG_GROUPS).addHelpText('after', GENERATE_EXAMPLES);
}

function addChat(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command('chat')
    .description('talk in turns; the default on a terminal')
    .action(async (_values: object, command: Command) => {
      exit(await chat(parseCliOptions(givenFlags(command)), context));
    });
  addFlags(command, CHAT_FLAG_GROUPS).addHelpText('after', CHAT_EXAMPLES);
}

function addServe(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command('serve')
    .description("answer over HTTP, with OpenAI's API")
    .action(async (_values: object, serve: Command) => {
      const { serveCommand } = await import('./serve-command.ts');
      exit(await serveCommand(givenFlags(serve), context));
    });
  addFlags(command, SERVE_FLAG_GROUPS).addHelpText('after', SERVE_EXAMPLES);
}

function addBench(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command('bench')
    .description('measure speed on this machine, for KV formats and lengths of prompt')
    .addArgument(new Argument('[what...]', 'what to measure (default: decode and prefill)').choices(BENCHMARKS))
    .action(async (what: Benchmark[], _values: object, command: Command) => {
      const options = parseBenchOptions(givenFlags(command));
      const { benchCommand } = await import('./bench-command.ts');
      exit(await benchCommand(what, options, context));
    });
  addFlags(command, BENCH_FLAG_GROUPS).addHelpText('after', BENCH_EXAMPLES);
  for (const { name, description, flags, examples, run } of BENCH_COMMANDS) {
    addFlags(command.command(name).description(description), flags)
      .addHelpText('after', examples)
      .action(async (_values: object, measurement: Command) => exit(await run(givenFlags(measurement), context)));
  }
}

function addEval(program: Command, context: CliContext, exit: (code: number) => void): void {
  const group = program
    .command('eval')
    .description('measure what KV formats do to the answers of a model')
    .helpCommand('help [command]', 'print the help of a measurement')
    .addHelpText('after', EVAL_EXAMPLES);
  const add = (name: string, description: string, flags: FlagGroups[string], examples: string): Command =>
    addFlags(group.command(name).description(description), { 'Options:': flags }).addHelpText('after', examples);

  add('kld', 'KL divergence to the f16 cache', KLD_FLAGS, KLD_EXAMPLES).action(async (_values, command: Command) => {
    const options = parseFlags(KLD_FLAGS, givenFlags(command));
    const { evalKld } = await import('./eval-kld.ts');
    exit(await inSession(options, context, (session) => evalKld(options, session)));
  });
  add('ppl', 'perplexity of a text', PPL_FLAGS, PPL_EXAMPLES).action(async (_values, command: Command) => {
    const options = parseFlags(PPL_FLAGS, givenFlags(command));
    const { evalPpl } = await import('./eval-ppl.ts');
    exit(await inSession(options, context, (session) => evalPpl(options, session)));
  });
  add('needle', 'facts found in long texts', NEEDLE_FLAGS, NEEDLE_EXAMPLES).action(
    async (_values, command: Command) => {
      const options = parseFlags(NEEDLE_FLAGS, givenFlags(command));
      const { evalNeedle } = await import('./eval-needle.ts');
      exit(await inSession(options, context, (session) => evalNeedle(options, session)));
    },
  );
  add('exact', 'whether conditions change a bit of the answers', EXACT_FLAGS, EXACT_EXAMPLES).action(
    async (_values, command: Command) => {
      const options = parseFlags(EXACT_FLAGS, givenFlags(command));
      const { evalExactCommand } = await import('./eval-exact.ts');
      exit(await evalExactCommand(options, context));
    },
  );
}

async function inSession(
  { json }: { readonly json?: true },
  context: CliContext,
  measure: (session: BenchSession) => Promise<object>,
): Promise<number> {
  const { measureInSession } = await import('./bench-session.ts');
  return measureInSession(json === true, context, measure);
}

function addPlan(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command('plan')
    .description('tell what memory a model takes in each KV format, what fits, and which to choose; loads nothing')
    .action(async (_values: object, command: Command) => {
      const options = parseFlags(PLAN_FLAGS, givenFlags(command));
      const { planCommand } = await import('./plan-command.ts');
      exit(await planCommand(options, context));
    });
  addFlags(command, PLAN_FLAG_GROUPS).addHelpText('after', PLAN_EXAMPLES);
}

function addCalibrate(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command('calibrate')
    .description("learn from a text how a model's cache is best stored")
    .action(async (_values: object, command: Command) => {
      const options = parseFlags(CALIBRATE_FLAGS, givenFlags(command));
      const { calibrateCommand } = await import('./calibrate-command.ts');
      exit(await inSession(options, context, (session) => calibrateCommand(options, session)));
    });
  addFlags(command, { 'Options:': CALIBRATE_FLAGS }).addHelpText('after', CALIBRATE_EXAMPLES);
}

function addCache(program: Command, context: CliContext, exit: (code: number) => void): void {
  const group = program
    .command('cache')
    .description('list, check and remove session files (.kvp), which hold conversations and documents with their cache')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', CACHE_EXAMPLES);
  const add = (name: string, description: string, flags: FlagGroups[string], examples: string): Command =>
    addFlags(group.command(name).description(description), { 'Options:': flags }).addHelpText('after', examples);

  add('ls', 'tell what session files hold', CACHE_LS_FLAGS, CACHE_LS_EXAMPLES)
    .argument('[path...]', 'session files, or folders of them (default: the cache folder)')
    .action(async (paths: string[], _values: object, command: Command) => {
      const { cacheLs } = await import('./cache-ls.ts');
      exit(await cacheLs(paths, parseFlags(CACHE_LS_FLAGS, givenFlags(command)), context));
    });
  add(
    'verify',
    'read session files to their end, and tell whether they are whole',
    CACHE_VERIFY_FLAGS,
    CACHE_VERIFY_EXAMPLES,
  )
    .argument('[path...]', 'session files, or folders of them (default: the cache folder)')
    .action(async (paths: string[], _values: object, command: Command) => {
      const { cacheVerify } = await import('./cache-verify.ts');
      exit(await cacheVerify(paths, parseFlags(CACHE_VERIFY_FLAGS, givenFlags(command)), context));
    });
  add('rm', 'remove session files', CACHE_RM_FLAGS, CACHE_RM_EXAMPLES)
    .argument('[file...]', 'session files to remove')
    .action(async (paths: string[], _values: object, command: Command) => {
      const { cacheRm } = await import('./cache-rm.ts');
      exit(await cacheRm(paths, parseFlags(CACHE_RM_FLAGS, givenFlags(command)), context));
    });
}

function addFlags(command: Command, groups: FlagGroups): Command {
  for (const [heading, flags] of Object.entries(groups)) {
    for (const flag of Object.values(flags)) command.addOption(toOption(flag).helpGroup(heading));
  }
  return command;
}

function toOption(flag: Flag): Option {
  const option = new Option(flag.usage, flag.description);
  if (flag.environmentVariable !== undefined) option.env(flag.environmentVariable);
  if (flag.valueIfNone !== undefined) option.preset(flag.valueIfNone);
  // The first value of a list comes without a list, and so does an environment variable's.
  if (flag.kind === 'list') option.argParser((value, previous?: string[]) => [...(previous ?? []), value]);
  return option;
}

/** Flags of the command and of those above it; a nearer one wins, and the command line over the environment. */
function givenFlags(command: Command): Record<string, GivenFlag> {
  const given: Record<string, GivenFlag> = {};
  for (let level: Command | null = command; level; level = level.parent) {
    for (const [name, value] of Object.entries(level.opts<Record<string, unknown>>())) {
      const from = level.getOptionValueSource(name);
      // That a flag --no-x is not given, commander takes for a value.
      if (from === 'default') continue;
      const source = from === 'env' ? 'env' : 'cli';
      const isUnset = source === 'env' && String(value) === '';
      if (!isUnset && (given[name] === undefined || (given[name].source === 'env' && source === 'cli'))) {
        given[name] = { value, source };
      }
    }
  }
  return given;
}

/** What only a chat needs is loaded for a chat. */
async function chat(options: CliOptions, context: CliContext): Promise<number> {
  const checked = chatOptions(options);
  const { chatCommand } = await import('./chat-command.ts');
  return chatCommand(checked, context);
}

/** Refuses flags that mean nothing in a chat. @throws KvantError INVALID_OPTION */
function chatOptions(options: CliOptions): CliOptions {
  for (const [name, flag] of Object.entries(GENERATE_FLAGS)) {
    if (options[name as keyof CliOptions] === undefined) continue;
    throw new KvantError('INVALID_OPTION', `${flagName(flag)} needs a prompt: chat does not know it`);
  }
  return options;
}
