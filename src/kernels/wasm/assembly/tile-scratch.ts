import { ATTN_HEAD_DIM, ATTN_PAGE_TOKENS, MAX_UNIT_QUERIES } from './commands';

/**
 * A thread's scratch for attention and sealing, by address. Sizes in bytes follow from head size d (dp: rounded up to 32), page
 * length P and at most `MAX_UNIT_QUERIES` query vectors Q; `scratchBytes` in ../attention-plan.ts adds up the same fields.
 */
export let codes: usize = 0; // max(P * dp, d * P) bytes: a tile's codes, a byte each
export let rowSums: usize = 0; // max(P, d) i32: sums of the rows of codes
export let sums: usize = 0; // max(P, d) i32: products of the rows of codes with a vector, or with its high plane
export let lowSums: usize = 0; // max(P, d) i32: with its low plane
export let lanes: usize = 0; // 128 bytes: sums by lane, on their way to one
export let tileK: usize = 0; // P * d f32
export let tileV: usize = 0; // P * d f32
export let tokenFactor: usize = 0; // P f32: a
export let channelScale: usize = 0; // dp f32: K's s
export let channelZero: usize = 0; // dp f32: K's z
export let tokenScale: usize = 0; // P f32: V's s
export let tokenZero: usize = 0; // P f32: V's z
export let high: usize = 0; // Q * max(dp, P) bytes: quantized queries or weights, or their high plane
export let low: usize = 0; // Q * max(dp, P) bytes: their low plane
export let scalars: usize = 0; // Q * 32 bytes, see QUERY_*
export let scores: usize = 0; // Q * P f32
export let part: usize = 0; // Q * stateBytes: softmax state of the part
export let total: usize = 0; // Q * stateBytes: softmax state of all parts so far

/** Fields of a query vector's scalars. */
export const QUERY_SCALE: usize = 0;
export const QUERY_ZERO: usize = 4;
export const QUERY_SUM: usize = 8;
export const QUERY_CORRECTION: usize = 12;
export const QUERY_COUNT: usize = 16;
export const QUERY_EXACT_SUM: usize = 20;
export const QUERY_LARGEST: usize = 24;
export const QUERY_BYTES: usize = 32;

/** Softmax state: maximum, sum, 8 bytes unused, then d accumulators, all float32. */
export const STATE_SUM: usize = 4;
export const STATE_VALUES: usize = 16;

// @ts-ignore: decorator
@inline
export function stateBytes(d: i32): usize {
  return STATE_VALUES + (<usize>d << 2);
}

/** Before any score: so low that e^(EMPTY - m) is nothing, and finite, so that no difference is NaN. */
export const EMPTY_MAXIMUM: f32 = -1e30;

/** Lays the fields out from `base` on. */
export function layScratch(base: usize, params: usize): void {
  const d = <usize>load<i32>(params, ATTN_HEAD_DIM);
  const p = <usize>load<i32>(params, ATTN_PAGE_TOKENS);
  const dp = (d + 31) & ~31;
  const wide = max(dp, p);
  const queries = <usize>MAX_UNIT_QUERIES;
  codes = base;
  rowSums = codes + wide * max(d, p);
  sums = rowSums + 4 * max(d, p);
  lowSums = sums + 4 * max(d, p);
  lanes = lowSums + 4 * max(d, p);
  tileK = lanes + 128;
  tileV = tileK + 4 * p * d;
  tokenFactor = tileV + 4 * p * d;
  channelScale = tokenFactor + 4 * p;
  channelZero = channelScale + 4 * dp;
  tokenScale = channelZero + 4 * dp;
  tokenZero = tokenScale + 4 * p;
  high = tokenZero + 4 * p;
  low = high + queries * wide;
  scalars = low + queries * wide;
  scores = scalars + queries * QUERY_BYTES;
  part = scores + queries * 4 * p;
  total = part + queries * stateBytes(<i32>d);
}
