/** Compiles the AssemblyScript kernels to build/: with relaxed SIMD, and without it for engines that lack it. */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
const variants = [
  { name: 'kvant-relaxed', features: ['relaxed-simd'] },
  { name: 'kvant-simd', features: [] },
];

mkdirSync(`${root}build`, { recursive: true });
for (const { name, features } of variants) {
  const { error, stderr } = await asc.main([
    'src/kernels/wasm/assembly/index.ts',
    ...['--baseDir', root, '--outFile', `build/${name}.wasm`, '-O3', '--noAssert', '--runtime', 'stub'],
    ...['--importMemory', '--sharedMemory', '--initialMemory', '2', '--maximumMemory', '65536'],
    ...['threads', 'simd', 'bulk-memory', ...features].flatMap((feature) => ['--enable', feature]),
    ...(process.argv.includes('--text') ? ['--textFile', `build/${name}.wat`] : []),
  ]);
  if (error) {
    process.stderr.write(`${stderr.toString()}${error.message}\n`);
    process.exit(1);
  }
}
