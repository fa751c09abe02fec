/**
 * Compiles the AssemblyScript kernels to build/: with relaxed SIMD, for engines that multiply bytes fastest in fours or in pairs, and
 * without it. Beside each, the little module that tells how fast its dot products are.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
const variants = [
  { name: 'relaxed', features: ['relaxed-simd'], dotPairs: 0 },
  { name: 'relaxed-pairs', features: ['relaxed-simd'], dotPairs: 1 },
  { name: 'simd', features: [], dotPairs: 0 },
];
const modules = [
  { name: 'kvant', entry: 'index' },
  { name: 'dot-speed', entry: 'dot-speed' },
];

mkdirSync(`${root}build`, { recursive: true });
for (const { name: variant, features, dotPairs } of variants) {
  for (const { name, entry } of modules) {
    const output = `build/${name}-${variant}`;
    const args = [
      `src/kernels/wasm/assembly/${entry}.ts`,
      ...['--baseDir', root, '--outFile', `${output}.wasm`, '-O3', '--noAssert', '--runtime', 'stub'],
      ...['--importMemory', '--sharedMemory', '--initialMemory', '2', '--maximumMemory', '65536'],
      ...['threads', 'simd', 'bulk-memory', ...features].flatMap((feature) => ['--enable', feature]),
      ...['--use', `DOT_PAIRS=${dotPairs}`],
      ...(process.argv.includes('--text') ? ['--textFile', `${output}.wat`] : []),
    ];
    const { error } = await asc.main(args, { stderr: process.stderr });
    if (error) {
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    }
  }
}
