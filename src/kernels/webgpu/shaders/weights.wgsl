// Weights as gpu-weights.ts packs them: rows of groups of 32 columns; with slots.wgsl.
//
// const COLS: u32; const CODE_BITS: u32 (4, 8; 16: f16, 17: bf16, 32: float32)
// const SCALES: u32 (0: f16 a group; 1: float32 scale and minimum a group; 2: float32 for 16 columns)

@group(0) @binding(1) var<storage, read> w_codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> w_scales: array<u32>;

const GROUPS = COLS / 32u;

/// 32 codes as int8: columns 0 to 15, and 16 to 31. Those of 4 bits lie in the upper half of their byte, 16 times what they stand for.
struct Codes {
  lo: vec4<u32>,
  hi: vec4<u32>,
}

/// Of the two halves; `minimum` is added to every weight.
struct Scale {
  lo: f32,
  hi: f32,
  minimum: f32,
}

/// The same as it lies in memory: codes of 4 bits fill only the first vector.
struct PackedWeights {
  first: vec4<u32>,
  second: vec4<u32>,
}

fn load_weights(row: u32, group: u32) -> PackedWeights {
  let at = row * GROUPS + slot_of(group, GROUPS);
  if (CODE_BITS == 4u) {
    return PackedWeights(w_codes[at], vec4<u32>(0u));
  }
  return PackedWeights(w_codes[2u * at], w_codes[2u * at + 1u]);
}

fn unpack_weights(packed: PackedWeights) -> Codes {
  if (CODE_BITS == 4u) {
    return Codes((packed.first << vec4<u32>(4u)) & vec4<u32>(0xf0f0f0f0u), packed.first & vec4<u32>(0xf0f0f0f0u));
  }
  return Codes(packed.first, packed.second);
}

fn codes_of(row: u32, group: u32) -> Codes {
  return unpack_weights(load_weights(row, group));
}

/// Of a group, as it lies in memory.
fn load_scale(row: u32, group: u32) -> vec2<u32> {
  let at = row * GROUPS + slot_of(group, GROUPS);
  if (SCALES == 0u) {
    return vec2<u32>(w_scales[at >> 1u], at & 1u);
  }
  return vec2<u32>(w_scales[2u * at], w_scales[2u * at + 1u]);
}

fn unpack_scale(packed: vec2<u32>) -> Scale {
  let unit = select(1.0, 0.0625, CODE_BITS == 4u);
  if (SCALES == 0u) {
    let pair = unpack2x16float(packed.x);
    let scale = unit * select(pair.x, pair.y, packed.y == 1u);
    return Scale(scale, scale, 0.0);
  }
  let first = bitcast<f32>(packed.x);
  let second = bitcast<f32>(packed.y);
  if (SCALES == 1u) {
    return Scale(unit * first, unit * first, second);
  }
  return Scale(unit * first, unit * second, 0.0);
}

fn scale_of(row: u32, group: u32) -> Scale {
  return unpack_scale(load_scale(row, group));
}

/// Columns 4 * quad to 4 * quad + 3 of a row, as float32.
fn weights4(row: u32, quad: u32) -> vec4<f32> {
  if (CODE_BITS == 32u) {
    return bitcast<vec4<f32>>(w_codes[row * (COLS / 4u) + quad]);
  }
  if (CODE_BITS == 16u || CODE_BITS == 17u) {
    let at = row * (COLS / 4u) + quad;
    let word = w_codes[at >> 1u];
    let pair = select(word.xy, word.zw, (at & 1u) == 1u);
    if (CODE_BITS == 16u) {
      return vec4<f32>(unpack2x16float(pair.x), unpack2x16float(pair.y));
    }
    return bitcast<vec4<f32>>(vec4<u32>(pair.x << 16u, pair.x & 0xffff0000u, pair.y << 16u, pair.y & 0xffff0000u));
  }
  let group = quad >> 3u;
  let codes = codes_of(row, group);
  let scale = scale_of(row, group);
  let in_hi = (quad & 4u) == 4u;
  let word = select(codes.lo, codes.hi, in_hi)[quad & 3u];
  return vec4<f32>(unpack4xI8(word)) * select(scale.lo, scale.hi, in_hi) + vec4<f32>(scale.minimum);
}
