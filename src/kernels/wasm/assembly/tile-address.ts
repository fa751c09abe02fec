import {
  ATTN_META_STRIDE,
  ATTN_META_V,
  ATTN_PLANE0,
  ATTN_PLANE0_STRIDE,
  ATTN_PLANE0_V,
  ATTN_PLANE1,
  ATTN_PLANE1_STRIDE,
  ATTN_PLANE1_V,
} from './commands';

/** Where a sealed page has the parts of a tile (layer * numKvHeads + head): offsets come from the host's page layout. */

// @ts-ignore: decorator
@inline
export function keyMeta(params: usize, page: usize, tile: i32): usize {
  return page + <usize>(tile * load<i32>(params, ATTN_META_STRIDE));
}

// @ts-ignore: decorator
@inline
export function valueMeta(params: usize, page: usize, tile: i32): usize {
  return keyMeta(params, page, tile) + <usize>load<i32>(params, ATTN_META_V);
}

/** The plane of the most significant bits, or the f16 elements. */
// @ts-ignore: decorator
@inline
export function keyPlane0(params: usize, page: usize, tile: i32): usize {
  return page + <usize>(load<i32>(params, ATTN_PLANE0) + tile * load<i32>(params, ATTN_PLANE0_STRIDE));
}

// @ts-ignore: decorator
@inline
export function valuePlane0(params: usize, page: usize, tile: i32): usize {
  return keyPlane0(params, page, tile) + <usize>load<i32>(params, ATTN_PLANE0_V);
}

/** The plane of the least significant bits; only of 8-bit sides. */
// @ts-ignore: decorator
@inline
export function keyPlane1(params: usize, page: usize, tile: i32): usize {
  return page + <usize>(load<i32>(params, ATTN_PLANE1) + tile * load<i32>(params, ATTN_PLANE1_STRIDE));
}

// @ts-ignore: decorator
@inline
export function valuePlane1(params: usize, page: usize, tile: i32): usize {
  return keyPlane1(params, page, tile) + <usize>load<i32>(params, ATTN_PLANE1_V);
}
