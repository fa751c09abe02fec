import { readFile } from 'node:fs/promises';
import { Command, CommanderError, Option } from 'commander';
import { chatCommand } from './chat-command.ts';
import { type CliContext, isInteractive } from './cli-context.ts';
import { type CliOptions, type GivenFlag, parseCliOptions } from './cli-options.ts';
import { errorReport, EXIT, exitCodeOf } from './exit-code.ts';
import { CHAT_FLAG_GROUPS, type Flag, type FlagGroups, GENERATE_FLAG_GROUPS } from './flags.ts';
import { generateCommand } from './generate-command.ts';
import { Output } from './output.ts';

const DESCRIPTION = `Language models on a quantized KV cache.

With a prompt, answers it; without one, on a terminal, chats. Answers go to stdout, everything else to stderr.
"kvant generate --help" and "kvant chat --help" tell their options; those of generate may follow "kvant" directly.`;

const GENERATE_EXAMPLES = `
Examples:
  kvant "Why is the sky blue?"
  kvant --file book.txt "Who tells the story?"
  kvant --kv f16 --temperature 0.7 --seed 1 --max-tokens 100 "Write a short poem"
  echo "Name three colours" | kvant --json
  kvant --tokens ids.json --logits out.f32 --logits-at 1024:2048:16 --max-tokens 0
  kvant chat --model model.gguf --kv k8v4 --ctx 4096
`;

const CHAT_EXAMPLES = `
In the chat, /help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves. Without a terminal, each line of stdin is a turn.

Examples:
  kvant chat --system "You answer in one sentence."
  kvant chat --file book.txt --kv q4
`;

/**
 * Runs the command line.
 *
 * @param args without the program's own name
 * @returns the exit code; errors have been written to stderr
 */
export async function runProgram(args: readonly string[], context: CliContext): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(await readVersion(), context, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
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
    .configureOutput({
      writeOut: (text) => void help.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: (text, write) => write(`${errorReport(text.replace(/^error: /, ''), false)}\n`),
    })
    .addHelpText('after', GENERATE_EXAMPLES);
  const generate = program
    .command('generate', { isDefault: true })
    .summary('answer a prompt (the default with one)')
    .description('Answers one prompt: the words given, or what is piped in, after the --file if there is one.')
    .argument('[prompt...]', 'the prompt; - reads it from stdin')
    .addHelpText('after', GENERATE_EXAMPLES)
    .action(async (words: string[]) => {
      const options = optionsOf(generate, GENERATE_FLAG_GROUPS);
      const isNamed = program.args[0] === 'generate';
      const hasPrompt = words.length > 0 || options.tokens !== undefined || options.file !== undefined;
      if (!isNamed && !hasPrompt && isInteractive(context)) exit(await chatCommand(options, context));
      else exit(await generateCommand({ words, allowDefault: !isNamed && !hasPrompt }, options, context));
    });
  const chat = program
    .command('chat')
    .summary('chat (the default on a terminal)')
    .description('Chats with the model; the KV cache stays between turns.')
    .addHelpText('after', CHAT_EXAMPLES)
    .action(async () => exit(await chatCommand(optionsOf(chat, CHAT_FLAG_GROUPS), context)));
  addFlags(generate, GENERATE_FLAG_GROUPS);
  addFlags(chat, CHAT_FLAG_GROUPS);
  return program;
}

function addFlags(command: Command, groups: FlagGroups): void {
  for (const [heading, flags] of Object.entries(groups)) {
    for (const flag of Object.values(flags)) command.addOption(createOption(flag).helpGroup(heading));
  }
}

function createOption({ usage, kind, description, environmentVariable }: Flag): Option {
  const option = new Option(usage, description);
  if (environmentVariable !== undefined) option.env(environmentVariable);
  // The first value of a list comes without a list, and so does an environment variable's.
  if (kind === 'list') option.argParser((text, earlier: string[] | undefined) => [...(earlier ?? []), text]);
  return option;
}

/** @throws KvantError INVALID_OPTION naming the flag or the environment variable */
function optionsOf(command: Command, groups: FlagGroups): CliOptions {
  const given: Record<string, GivenFlag> = {};
  for (const name of Object.values(groups).flatMap((flags) => Object.keys(flags))) {
    const source = command.getOptionValueSource(name);
    if (source === 'cli') given[name] = { value: command.getOptionValue(name), source: 'cli' };
    if (source === 'env') given[name] = { value: command.getOptionValue(name), source: 'env' };
  }
  return parseCliOptions(given);
}

async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
