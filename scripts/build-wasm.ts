/**
 * Compiles the AssemblyScript kernels to build/: with relaxed SIMD, for engines that multiply bytes fastest in fours or in pairs, and
 * without it.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
const variants = [
  { name: 'kvant-relaxed', features: ['relaxed-simd'], dotPairs: 0 },
  { name: 'kvant-relaxed-pairs', features: ['relaxed-simd'], dotPairs: 1 },
  { name: 'kvant-simd', features: [], dotPairs: 0 },
];

mkdirSync(`${root}build`, { recursive: true });
for (const { name, features, dotPairs } of variants) {
  const args = [
    'src/kernels/wasm/assembly/index.ts',
    ...['--baseDir', root, '--outFile', `build/${name}.wasm`, '-O3', '--noAssert', '--runtime', 'stub'],
    ...['--importMemory', '--sharedMemory', '--initialMemory', '2', '--maximumMemory', '65536'],
    ...['threads', 'simd', 'bulk-memory', ...features].flatMap((feature) => ['--enable', feature]),
    ...['--use', `DOT_PAIRS=${dotPairs}`],
    ...(process.argv.includes('--text') ? ['--textFile', `build/${name}.wat`] : []),
  ];
  const { error } = await asc.main(args, { stderr: process.stderr });
  if (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
