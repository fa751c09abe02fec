import type { GenerateResult, ModelInfo } from '../engine/types.ts';
import { formatBytes, formatCount, formatFixed, formatNumber, formatQuantity, formatRate } from './format.ts';

/**
 * One line on what an answer took, from the figures that the engine measured: the cache and its bits per element, metadata
 * counted, its size beside f16's (MB = 10^6 bytes), tokens per second, and what computed them. Rates that were not measured (no prompt
 * token computed, fewer than two tokens generated) are left out.
 */
export function summaryLine(result: GenerateResult, backend: ModelInfo['backend']): string {
  const { kv, timings, speculation } = result;
  const parts = [
    `kv ${kv.format}`,
    `${formatNumber(kv.bitsPerElement, 2)} bits/element`,
    `${formatQuantity(kv.tokens, 'token')} in ${formatBytes(kv.bytes)}${besideF16(kv)}`,
  ];
  if (timings.prefillTps !== undefined) parts.push(`prefill ${formatRate(timings.prefillTps)}`);
  if (timings.decodeTps !== undefined) parts.push(`decode ${formatRate(timings.decodeTps)}`);
  if (speculation && speculation.drafted > 0)
    parts.push(`${formatCount(speculation.accepted)} of ${formatCount(speculation.drafted)} guesses right`);
  parts.push([backend.name, formatQuantity(backend.threads, 'thread'), backend.isa].join(', '));
  return parts.join(' · ');
}

function besideF16({ bytes, bytesF16 }: GenerateResult['kv']): string {
  if (bytes === 0 || bytes === bytesF16) return '';
  return ` (f16 ${formatBytes(bytesF16)}, ${formatFixed(bytesF16 / bytes, 1)}x)`;
}
