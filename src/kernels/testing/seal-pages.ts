import { f16PageLayout } from '../../cache/page-layout.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { PageBench } from './page-bench.ts';
import { pageOfData, TILE_DATA } from './tile-data.ts';

export const SEALING_DATA = Object.keys(TILE_DATA);

export function sealingConfig(
  formatName: string,
  headDim: number,
  numLayers: number,
  feedback?: Float32Array,
): KernelsConfig {
  const format = parseKvFormat(formatName, headDim);
  return {
    shape: { numLayers, numKvHeads: 2, headDim },
    numHeads: 2,
    format: { ...format, k: { ...format.k, ...(feedback && { feedback }) } },
    ropeFrequencies: [1],
    maxRows: SEALING_DATA.length,
    maxContext: 256,
    numThreads: 1,
  };
}

/** Full open pages, one of each kind of data, sealed in one step by the last tokens of as many sequences. */
export async function sealPages(kernels: Kernels, layers: readonly number[]): Promise<Uint8Array[]> {
  const { format, shape } = kernels.config;
  const { numSinkTokens, pageSize } = format;
  const bench = new PageBench(kernels, SEALING_DATA.length, SEALING_DATA.length);
  const openLayout = f16PageLayout(pageSize, shape);
  SEALING_DATA.forEach((data, page) => kernels.writePage(bench.pages.open, page, pageOfData(openLayout, data, page)));
  const place = { firstPosition: numSinkTokens + pageSize - 1, numRows: 1, sealedPages: [] };
  const sealInto = (page: number): number => SEALING_DATA.length - 1 - page;
  const placements = SEALING_DATA.map((_, page) => ({ ...place, openPage: page, sealInto: sealInto(page) }));
  await bench.step(placements, new Array<number>(SEALING_DATA.length).fill(0), [], () => {
    for (const layer of layers) kernels.sealTiles(layer);
  });
  const sealed: Uint8Array[] = [];
  for (const page of SEALING_DATA.keys()) sealed.push(await kernels.readPage(bench.pages.sealed, sealInto(page)));
  return sealed;
}
