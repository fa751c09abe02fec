// float32 as IEEE 754 has it: quotients and roots rounded to nearest, products that are not fused with a sum, least and greatest that tell zeros apart.
// WGSL promises none of these. What is less than normal, or infinite, is as the device has it.
//
// fn runtime_zero() -> u32: 0, which the compiler must not know

const SIGN = 0x80000000u;
const MANTISSA = 0x7fffffu;
const ONE = 0x800000u;

/// A product that no compiler can fuse with what is added to it.
fn product(a: f32, b: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(a * b) ^ runtime_zero());
}

fn is_normal(bits: u32) -> bool {
  let exponent = (bits >> 23u) & 0xffu;
  return exponent != 0u && exponent != 0xffu;
}

/// a / b. The device's own quotient of the mantissas is off by a few units of the last place; how many, the remainder tells, which is exact in
/// integers although its terms are not.
fn quotient(a: f32, b: f32) -> f32 {
  let bits_a = bitcast<u32>(a);
  let bits_b = bitcast<u32>(b);
  if (!is_normal(bits_a) || !is_normal(bits_b)) {
    return a / b;
  }
  let mantissa_a = (bits_a & MANTISSA) | ONE;
  let mantissa_b = (bits_b & MANTISSA) | ONE;
  let shift = select(23u, 24u, mantissa_a < mantissa_b);
  var q = u32((f32(mantissa_a) / f32(mantissa_b)) * f32(1u << shift));
  var rest = bitcast<i32>((mantissa_a << shift) - q * mantissa_b);
  let divisor = i32(mantissa_b);
  for (var i = 0u; i < 8u && rest < 0; i++) {
    q -= 1u;
    rest += divisor;
  }
  for (var i = 0u; i < 8u && rest >= divisor; i++) {
    q += 1u;
    rest -= divisor;
  }
  // It is never halfway between two numbers.
  q += select(0u, 1u, 2 * rest > divisor);
  var exponent = i32((bits_a >> 23u) & 0xffu) - i32((bits_b >> 23u) & 0xffu) + 127 - i32(shift - 23u);
  if (q == 2u * ONE) {
    q = ONE;
    exponent += 1;
  }
  if (exponent <= 0 || exponent >= 255) {
    return a / b;
  }
  return bitcast<f32>(((bits_a ^ bits_b) & SIGN) | (u32(exponent) << 23u) | (q & MANTISSA));
}

/// The square root of a number that is not negative, found as quotients are.
fn root(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  if (!is_normal(bits)) {
    return sqrt(x);
  }
  let exponent = i32(bits >> 23u) - 127;
  // By an even power of two.
  let mantissa = ((bits & MANTISSA) | ONE) << u32(exponent & 1);
  // 2^11.5
  var r = u32(sqrt(f32(mantissa)) * 2896.3093757400986);
  var rest = bitcast<i32>((mantissa << 23u) - r * r);
  for (var i = 0u; i < 8u && rest < 0; i++) {
    r -= 1u;
    rest += i32(2u * r + 1u);
  }
  for (var i = 0u; i < 8u && rest > i32(2u * r); i++) {
    rest -= i32(2u * r + 1u);
    r += 1u;
  }
  r += select(0u, 1u, rest > i32(r));
  let half = (exponent - (exponent & 1)) / 2 + 127;
  return bitcast<f32>((u32(half) << 23u) + (r - ONE));
}

/// Integers in the order of the numbers, -0 below 0.
fn order_of(x: f32) -> i32 {
  let bits = bitcast<i32>(x);
  return bits ^ ((bits >> 31u) & 0x7fffffff);
}

fn lesser(a: f32, b: f32) -> f32 {
  return select(b, a, order_of(a) < order_of(b));
}

fn greater(a: f32, b: f32) -> f32 {
  return select(b, a, order_of(a) > order_of(b));
}
