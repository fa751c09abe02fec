import {
  ATTN_LAYERS,
  LAYER_BYTES,
  LAYER_META,
  LAYER_PLANE0,
  LAYER_PLANE1,
  PART_OFFSET,
  PART_STRIDE,
  PART_V,
} from './commands';

/** Where a sealed page has the parts of a tile: offsets come from the host's page layout. */

// @ts-ignore: decorator
@inline
export function layerRecord(params: usize, layer: i32): usize {
  return <usize>load<u32>(params, ATTN_LAYERS) + <usize>(layer * LAYER_BYTES);
}

// @ts-ignore: decorator
@inline
function keyPart(part: usize, page: usize, head: i32): usize {
  return page + <usize>(load<i32>(part, PART_OFFSET) + head * load<i32>(part, PART_STRIDE));
}

// @ts-ignore: decorator
@inline
function valuePart(part: usize, page: usize, head: i32): usize {
  return keyPart(part, page, head) + <usize>load<i32>(part, PART_V);
}

// @ts-ignore: decorator
@inline
export function keyMeta(layer: usize, page: usize, head: i32): usize {
  return keyPart(layer + LAYER_META, page, head);
}

// @ts-ignore: decorator
@inline
export function valueMeta(layer: usize, page: usize, head: i32): usize {
  return valuePart(layer + LAYER_META, page, head);
}

/** The plane of the most significant bits, or the f16 elements. */
// @ts-ignore: decorator
@inline
export function keyPlane0(layer: usize, page: usize, head: i32): usize {
  return keyPart(layer + LAYER_PLANE0, page, head);
}

// @ts-ignore: decorator
@inline
export function valuePlane0(layer: usize, page: usize, head: i32): usize {
  return valuePart(layer + LAYER_PLANE0, page, head);
}

/** The plane of the least significant bits, of codes that have two. */
// @ts-ignore: decorator
@inline
export function keyPlane1(layer: usize, page: usize, head: i32): usize {
  return keyPart(layer + LAYER_PLANE1, page, head);
}

// @ts-ignore: decorator
@inline
export function valuePlane1(layer: usize, page: usize, head: i32): usize {
  return valuePart(layer + LAYER_PLANE1, page, head);
}
