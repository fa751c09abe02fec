import type { KvCheck, KvLayerCheck } from '../engine/types.ts';
import { finiteOrNull } from './finite-or-null.ts';

/** What `--json` tells of `--check-kv`. */
export interface KvCheckReport {
  readonly mode: KvCheck['mode'];
  /** Why nothing was measured. */
  readonly skipped: string | null;
  readonly tokens: number;
  readonly text_tokens: number;
  readonly limits: { readonly attention_kld: number; readonly value_error: number };
  /** As they run. */
  readonly layers: readonly KvLayerReport[];
  /** As they were before they were raised. */
  readonly raised: readonly KvLayerReport[];
  readonly estimated_kld: number | null;
  readonly suggested_kv: string | null;
  /** Of sealed pages, metadata counted. */
  readonly bits_per_element_before: number;
  readonly bits_per_element: number;
  readonly check_ms: number;
}

export interface KvLayerReport {
  readonly layer: number;
  readonly k_bits: number;
  readonly v_bits: number;
  readonly attention_kld: number | null;
  readonly value_error: number | null;
  readonly output_error: number | null;
  readonly key_outlier: number | null;
  readonly key_bias: number | null;
  readonly suffers: readonly ('k' | 'v')[];
}

export function kvCheckReport(check: KvCheck): KvCheckReport {
  return {
    mode: check.mode,
    skipped: check.skipped ?? null,
    tokens: check.numTokens,
    text_tokens: check.numTextTokens,
    limits: { attention_kld: check.limits.attentionKld, value_error: check.limits.valueError },
    layers: check.layers.map(layerReport),
    raised: check.raised.map(layerReport),
    estimated_kld: finiteOrNull(check.estimatedKld),
    suggested_kv: check.suggestedKv ?? null,
    bits_per_element_before: check.bitsPerElementBefore,
    bits_per_element: check.bitsPerElement,
    check_ms: check.checkMs,
  };
}

function layerReport(check: KvLayerCheck): KvLayerReport {
  return {
    layer: check.layer,
    k_bits: check.kBits,
    v_bits: check.vBits,
    attention_kld: finiteOrNull(check.attentionKld),
    value_error: finiteOrNull(check.valueError),
    output_error: finiteOrNull(check.outputError),
    key_outlier: finiteOrNull(check.keyOutlier),
    key_bias: finiteOrNull(check.keyBias),
    suffers: check.suffers,
  };
}
