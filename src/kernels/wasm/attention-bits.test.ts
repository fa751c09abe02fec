import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import type { AttentionCase, QueryRun, RunPart } from '../testing/attention-bench.ts';
import { AttentionBench, createAttentionCase } from '../testing/attention-bench.ts';
import { WASM_ISAS } from '../testing/wasm-builds.ts';
import { createWasmKernels } from './create-wasm-kernels-node.ts';
import type { WasmKernels } from './wasm-kernels.ts';

const HEAD_DIM = 32;

function config(formatName: string): KernelsConfig {
  return {
    shape: { numLayers: 1, numKvHeads: 2, headDim: HEAD_DIM },
    numHeads: 6,
    format: parseKvFormat(formatName, HEAD_DIM),
    ropeFrequencies: Array.from({ length: HEAD_DIM / 2 }, (_, i) => 1000 ** ((-2 * i) / HEAD_DIM)),
    maxRows: 160,
    maxContext: 18 * 64,
    numThreads: 1,
  };
}

/** Decode and prefill with one part of sealed pages, with none, and with several. */
const RUNS: readonly QueryRun[] = [
  { numSealed: 17, firstIndex: 12, numRows: 1 },
  { numSealed: 9, firstIndex: 30, numRows: 34 },
  { numSealed: 0, firstIndex: 3, numRows: 9 },
  { numSealed: 8, firstIndex: 62, numRows: 2 },
];

/** The rows of all runs, cut into steps of at most `most` rows a run. */
function cutRuns(runs: readonly QueryRun[], most: number): RunPart[][] {
  return runs.flatMap(({ numRows }, run) =>
    Array.from({ length: Math.ceil(numRows / most) }, (_, i) => {
      const firstRow = i * most;
      return [{ run, firstRow, numRows: Math.min(most, numRows - firstRow) }];
    }),
  );
}

async function assertSteps(
  bench: AttentionBench,
  steps: readonly (readonly RunPart[])[],
  expected: readonly Float32Array[],
  where: string,
): Promise<void> {
  for (const parts of steps) {
    const rowIds = parts.flatMap((part) => bench.rowIdsOf(part));
    const rows = rowIds.map((row) => expected[row]);
    assert.deepEqual(await bench.run(parts), rows, where);
  }
}

for (const format of ['f16', 'q8', 'q4', 'k8v4', 'q6', 'k3v5', 'q2', 'q1']) {
  describe(`${format}, every build on 1, 2 and 3 threads`, () => {
    const settings = config(format);
    let kernels: readonly WasmKernels[];
    let attention: AttentionCase;
    before(async () => {
      const all = WASM_ISAS.flatMap((isa) => [1, 2, 3].map((numThreads) => ({ isa, numThreads })));
      kernels = await Promise.all(
        all.map(({ isa, numThreads }) => createWasmKernels({ ...settings, numThreads }, isa)),
      );
      attention = createAttentionCase(settings, 'Gaussian', RUNS);
    });
    after(async () => Promise.all(kernels.map((each) => each.close())));

    test('a query has the same bits alone, in pieces of 3, 5 and 20 rows, and beside other sequences', async () => {
      for (const each of kernels) {
        const bench = await AttentionBench.load(each, attention);
        const all = await bench.runAll();
        const { isa, threads } = each.description;
        for (const most of [1, 3, 5, 20]) {
          await assertSteps(bench, cutRuns(RUNS, most), all, `${isa}, ${threads} threads, ${most} rows`);
        }
        const reversed = cutRuns(RUNS, 64).reverse().flat();
        await assertSteps(bench, [reversed], all, `${isa}, ${threads} threads, sequences in reverse`);
      }
    });

    test('outputs have the same bits on 1, 2 and 3 threads', async () => {
      for (const isa of WASM_ISAS) {
        const ofIsa = kernels.filter(({ description }) => description.isa === isa);
        const outputs = [];
        for (const each of ofIsa) outputs.push(await (await AttentionBench.load(each, attention)).runAll());
        for (const output of outputs.slice(1)) assert.deepEqual(output, outputs[0], isa);
      }
    });

    test('40 sequences decoded in one step have the bits of each alone', async () => {
      const runs = Array.from({ length: 40 }, (_, i) => ({ numSealed: i % 17, firstIndex: i, numRows: 1 }));
      const batch = createAttentionCase(settings, 'Gaussian', runs);
      for (const each of kernels.filter(({ description }) => description.threads !== 2)) {
        const bench = await AttentionBench.load(each, batch);
        await assertSteps(bench, cutRuns(runs, 1), await bench.runAll(), each.description.isa);
      }
    });
  });
}
