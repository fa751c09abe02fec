// Reads the codes of sealed tiles (docs/page-format.md). Bytes are unpacked in fours: byte i of word w of the result is code 4w + i.

struct Words8 {
  a: vec4<u32>,
  b: vec4<u32>,
}

fn arena_word(word: u32) -> u32 {
  return arena[word >> 2u][word & 3u];
}

/// Words of a plane's row of `cols` codes.
fn plane_row_words(width: u32, cols: u32) -> u32 {
  return ((cols + 31u) / 32u) * width;
}

/// Codes 32 * group to 32 * group + 31 of a plane's row that starts at word `row`.
fn plane_codes(width: u32, row: u32, group: u32, cols: u32) -> Words8 {
  if (width == 4u) {
    let w = arena[(row >> 2u) + group];
    return Words8(w & vec4<u32>(0x0f0f0f0fu), (w >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu));
  }
  // Groups of 64 codes; the last one has 32 where no more are left.
  let is_tail = (group & 1u) == 0u && 32u * (group + 1u) >= ((cols + 31u) / 32u) * 32u;
  let first = row + (group & ~1u) * width;
  if (width == 2u) {
    if (is_tail) {
      let w = vec4<u32>(arena_word(first), arena_word(first + 1u), arena_word(first), arena_word(first + 1u));
      return Words8((w >> vec4<u32>(0u, 0u, 2u, 2u)) & vec4<u32>(0x03030303u), (w >> vec4<u32>(4u, 4u, 6u, 6u)) & vec4<u32>(0x03030303u));
    }
    // Rows of whole groups of 64 start at whole vectors.
    var w: vec4<u32>;
    if (cols % 64u == 0u) {
      w = arena[first >> 2u];
    } else {
      w = vec4<u32>(arena_word(first), arena_word(first + 1u), arena_word(first + 2u), arena_word(first + 3u));
    }
    w >>= vec4<u32>(4u * (group & 1u));
    return Words8(w & vec4<u32>(0x03030303u), (w >> vec4<u32>(2u)) & vec4<u32>(0x03030303u));
  }
  if (is_tail) {
    let w = vec4<u32>(arena_word(first));
    return Words8((w >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(0x01010101u), (w >> vec4<u32>(4u, 5u, 6u, 7u)) & vec4<u32>(0x01010101u));
  }
  var w = vec4<u32>(arena_word(first), arena_word(first + 1u), arena_word(first), arena_word(first + 1u));
  w >>= vec4<u32>(4u * (group & 1u));
  return Words8((w >> vec4<u32>(0u, 0u, 1u, 1u)) & vec4<u32>(0x01010101u), (w >> vec4<u32>(2u, 2u, 3u, 3u)) & vec4<u32>(0x01010101u));
}

/// Bits of the first and second plane of a code.
fn high_width(bits: u32) -> u32 {
  return select(select(4u, 2u, bits < 4u), 1u, bits == 1u);
}

fn low_width(bits: u32) -> u32 {
  return bits - high_width(bits);
}

/// Codes of a row, both planes put together; those of 8 bits less 128, as int8.
fn row_codes(bits: u32, high_row: u32, low_row: u32, group: u32, cols: u32) -> Words8 {
  var codes = plane_codes(high_width(bits), high_row, group, cols);
  if (low_width(bits) > 0u) {
    let low = plane_codes(low_width(bits), low_row, group, cols);
    codes.a = (codes.a << vec4<u32>(low_width(bits))) | low.a;
    codes.b = (codes.b << vec4<u32>(low_width(bits))) | low.b;
  }
  if (bits == 8u) {
    codes.a ^= vec4<u32>(0x80808080u);
    codes.b ^= vec4<u32>(0x80808080u);
  }
  return codes;
}
