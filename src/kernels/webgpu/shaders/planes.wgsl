// Reads the codes of sealed tiles (docs/page-format.md), 32 of a row at a time. Loading is apart from unpacking, so that loads can be on their way early.

/// What 32 codes are made of, as it lies in the page: a vector a plane at most.
struct PackedCodes {
  high: vec4<u32>,
  low: vec4<u32>,
}

/// Codes in fours: byte i of word w is code 4w + i.
struct Codes32 {
  a: vec4<u32>,
  b: vec4<u32>,
}

/// Words of a plane's row of `cols` codes.
fn plane_row_words(width: u32, cols: u32) -> u32 {
  return ((cols + 31u) / 32u) * width;
}

/// Groups of planes of 2 bits and 1 have 64 codes; the last one has 32 where no more are left.
fn is_tail(group: u32, cols: u32) -> bool {
  return (cols + 31u) / 32u % 2u == 1u && group == (cols + 31u) / 32u - 1u;
}

/// What codes 32 * group to 32 * group + 31 of a plane's row are made of, which starts at word `row`.
fn load_plane(width: u32, row: u32, group: u32, cols: u32) -> vec4<u32> {
  if (width == 4u) {
    return arena[(row >> 2u) + group];
  }
  let first = row + (group & ~1u) * width;
  if (width == 2u && cols % 64u == 0u) {
    // Rows of whole groups of 64 start at whole vectors.
    return arena[first >> 2u];
  }
  let pair = vec2<u32>(arena_words[first], arena_words[first + 1u]);
  if (width == 1u || is_tail(group, cols)) {
    return pair.xyxy;
  }
  return vec4<u32>(pair, arena_words[first + 2u], arena_words[first + 3u]);
}

/// Codes of a plane from what `load_plane` has brought.
fn unpack_plane(width: u32, w: vec4<u32>, group: u32, cols: u32) -> Codes32 {
  if (width == 4u) {
    return Codes32(w & vec4<u32>(0x0f0f0f0fu), (w >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu));
  }
  if (width == 2u) {
    if (is_tail(group, cols)) {
      return Codes32((w >> vec4<u32>(0u, 0u, 2u, 2u)) & vec4<u32>(0x03030303u), (w >> vec4<u32>(4u, 4u, 6u, 6u)) & vec4<u32>(0x03030303u));
    }
    let half = w >> vec4<u32>(4u * (group & 1u));
    return Codes32(half & vec4<u32>(0x03030303u), (half >> vec4<u32>(2u)) & vec4<u32>(0x03030303u));
  }
  if (is_tail(group, cols)) {
    let one = w.xxxx;
    return Codes32((one >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(0x01010101u), (one >> vec4<u32>(4u, 5u, 6u, 7u)) & vec4<u32>(0x01010101u));
  }
  let half = w >> vec4<u32>(4u * (group & 1u));
  return Codes32((half >> vec4<u32>(0u, 0u, 1u, 1u)) & vec4<u32>(0x01010101u), (half >> vec4<u32>(2u, 2u, 3u, 3u)) & vec4<u32>(0x01010101u));
}

/// Bits of the first and second plane of a code.
fn high_width(bits: u32) -> u32 {
  return select(select(4u, 2u, bits < 4u), 1u, bits == 1u);
}

fn low_width(bits: u32) -> u32 {
  return bits - high_width(bits);
}

/// @param high_row,low_row words where the row starts in either plane
fn load_codes(bits: u32, high_row: u32, low_row: u32, group: u32, cols: u32) -> PackedCodes {
  let high = load_plane(high_width(bits), high_row, group, cols);
  if (low_width(bits) == 0u) {
    return PackedCodes(high, vec4<u32>(0u));
  }
  return PackedCodes(high, load_plane(low_width(bits), low_row, group, cols));
}

/// Both planes put together; codes of 8 bits less 128, as int8.
fn unpack_codes(bits: u32, packed: PackedCodes, group: u32, cols: u32) -> Codes32 {
  var codes = unpack_plane(high_width(bits), packed.high, group, cols);
  if (low_width(bits) > 0u) {
    let low = unpack_plane(low_width(bits), packed.low, group, cols);
    codes.a = (codes.a << vec4<u32>(low_width(bits))) | low.a;
    codes.b = (codes.b << vec4<u32>(low_width(bits))) | low.b;
  }
  if (bits == 8u) {
    codes.a ^= vec4<u32>(0x80808080u);
    codes.b ^= vec4<u32>(0x80808080u);
  }
  return codes;
}
