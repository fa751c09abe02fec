import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export const TINY_MODEL = 'test/models/tiny/llama-d64.Q8_0.gguf';

export interface CliRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What is piped in; nothing where absent. */
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Given the running program, for instance to send it a signal. */
  readonly onStart?: (child: ChildProcessWithoutNullStreams) => void;
}

/** Runs the program as a user would, in the repository's root. */
export async function runCli(args: readonly string[], { stdin = '', env, onStart }: RunOptions = {}): Promise<CliRun> {
  const child = spawn(process.execPath, ['--no-warnings', MAIN, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  }
  child.stdin.on('error', () => undefined).end(stdin);
  onStart?.(child);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  return { exitCode, ...texts };
}
