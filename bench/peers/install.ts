/**
 * Installs the peers into this folder: node-llama-cpp and, of its binaries (700 MB together), those for this machine's CPU and for any GPU
 * (Vulkan; on a Mac the same one). Its install scripts would look for a compiler and do not run.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BINARIES: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['linux-x64', 'linux-x64-vulkan'],
  'linux-arm64': ['linux-arm64', 'linux-arm64-vulkan'],
  'linux-arm': ['linux-armv7l'],
  'darwin-arm64': ['mac-arm64-metal'],
  'darwin-x64': ['mac-x64'],
  'win32-x64': ['win-x64', 'win-x64-vulkan'],
  'win32-arm64': ['win-arm64'],
};

const folder = fileURLToPath(new URL('.', import.meta.url));
const { dependencies } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8')) as {
  readonly dependencies: { readonly 'node-llama-cpp': string };
};
const version = dependencies['node-llama-cpp'];
const machine = `${process.platform}-${process.arch}`;
if (!Object.hasOwn(BINARIES, machine)) {
  process.stderr.write(`node-llama-cpp has no binary for ${machine}\n`);
  process.exit(1);
}
const binaries = BINARIES[machine].map((name) => `@node-llama-cpp/${name}@${version}`);
const packages = [`node-llama-cpp@${version}`, ...binaries];
const flags = ['--no-save', '--no-package-lock', '--omit=optional', '--ignore-scripts'];
const { status } = spawnSync('npm', ['install', ...flags, ...packages], {
  cwd: folder,
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
process.exit(status ?? 1);
