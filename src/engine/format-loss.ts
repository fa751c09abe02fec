import { bitsPerElement, sealedPageLayout, type KvShape } from '../cache/page-layout.ts';
import { parseKvFormat, type KvFormat } from '../quant/kv-format.ts';
import { DEFAULT_KV_FORMAT } from './defaults.ts';

/**
 * What is coarser than the default is never chosen or advised without a word: the clause to add; empty for all that has as many bits an
 * element as the default, or more.
 */
export function lossOf(format: KvFormat, shape: KvShape): string {
  const usual = parseKvFormat(DEFAULT_KV_FORMAT, shape.headDim);
  const bits = (each: KvFormat): number => bitsPerElement(sealedPageLayout(each, shape));
  return bits(format) < bits(usual) ? `; answers lose accuracy below ${usual.name}, the default` : '';
}
