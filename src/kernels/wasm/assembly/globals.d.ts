/** Set by scripts/build-wasm.ts, 0 or 1: see simd.ts. */
declare const DOT_PAIRS: i32;
