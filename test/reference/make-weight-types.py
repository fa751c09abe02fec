"""Writes weight-types.json: bytes of every GGUF weight type that Kvant reads, and the float32 values they stand for.

    pip install gguf==0.19.0 numpy==2.4.6 && python make-weight-types.py weight-types.json

The values come from `gguf.quants.dequantize` (the ggml project's own Python package), so they are an oracle that shares no
code with Kvant. The package cannot write K-quants; `pack_*` below round to nearest and pack as ggml-common.h lays them out.
"""
import base64
import json
import sys

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

COLS = 256
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
rng = np.random.default_rng(20260315)


def f16_bytes(x):
    return np.atleast_1d(np.float16(x)).view(np.uint8)


def pack_scales_k4(scales, mins):
    """8 scales and 8 mins of 6 bits in 12 bytes (ggml's get_scale_min_k4)."""
    out = np.zeros(12, np.uint8)
    for j in range(4):
        out[j] = scales[j] | (scales[j + 4] >> 4) << 6
        out[j + 4] = mins[j] | (mins[j + 4] >> 4) << 6
        out[j + 8] = (scales[j + 4] & 15) | (mins[j + 4] & 15) << 4
    return out


def pack_nibbles(codes):
    """Pairs of groups of 32: the first in the low nibbles, the second in the high ones."""
    pairs = codes.reshape(4, 2, 32)
    return (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8).ravel()


def pack_q4_k_or_q5_k(x, bits):
    top = 2**bits - 1
    groups = x.reshape(8, 32)
    mins = np.maximum(-groups.min(axis=1), 0)
    scales = (np.maximum(groups.max(axis=1), 0) + mins) / top
    d, dmin = np.float16(scales.max() / 63), np.float16(mins.max() / 63)
    sc = np.clip(np.round(scales / np.float32(d or 1)), 0, 63).astype(int)
    mn = np.clip(np.round(mins / np.float32(dmin or 1)), 0, 63).astype(int)
    step = (np.float32(d) * sc)[:, None]
    codes = np.where(step > 0, (groups + (np.float32(dmin) * mn)[:, None]) / np.where(step > 0, step, 1), 0)
    codes = np.clip(np.round(codes), 0, top).astype(int)
    parts = [f16_bytes(d), f16_bytes(dmin), pack_scales_k4(sc, mn)]
    if bits == 5:
        parts.append(sum((codes[g] >> 4) << g for g in range(8)).astype(np.uint8))
    return np.concatenate([*parts, pack_nibbles(codes & 15)])


def pack_q6_k(x):
    groups = x.reshape(16, 16)
    scales = np.abs(groups).max(axis=1) / 31
    d = np.float16(scales.max() / 127)
    sc = np.clip(np.round(scales / np.float32(d or 1)), -128, 127).astype(int)
    step = (np.float32(d) * sc)[:, None]
    codes = np.where(step != 0, groups / np.where(step != 0, step, 1), 0)
    codes = (np.clip(np.round(codes), -32, 31).astype(int) + 32).reshape(2, 4, 32)
    low = np.stack([codes[:, 0] & 15 | (codes[:, 2] & 15) << 4, codes[:, 1] & 15 | (codes[:, 3] & 15) << 4], axis=1)
    high = sum((codes[:, i] >> 4) << (2 * i) for i in range(4))
    return np.concatenate([low.astype(np.uint8).ravel(), high.astype(np.uint8).ravel(), sc.astype(np.int8).view(np.uint8), f16_bytes(d)])


def encode(name, row):
    if name == "F32":
        return row.astype("<f4").view(np.uint8)
    if name in ("Q4_K", "Q5_K"):
        return pack_q4_k_or_q5_k(row, int(name[1]))
    if name == "Q6_K":
        return pack_q6_k(row)
    return quantize(row[None, :], T[name])[0].view(np.uint8)


# Of the row with random codes: byte offsets of the float16 scales in a block.
BLOCKS = {
    "Q4_0": (18, [0]), "Q4_1": (20, [0, 2]), "Q5_0": (22, [0]), "Q5_1": (24, [0, 2]), "Q8_0": (34, [0]),
    "Q4_K": (144, [0, 2]), "Q5_K": (176, [0, 2]), "Q6_K": (210, [208]),
}
EXTREME_SCALES = [65504.0, 6e-8, -1.5, 0.0, 6.1035e-05, -65504.0, 3.0e-6, 1024.0, -0.0, 0.333]


def extreme(name):
    """Every bit pattern of codes, under the largest, subnormal, zero and negative scales."""
    if name == "F32":
        special = np.array([0.0, -0.0, 1e-45, -1e-38, 3.4028235e38, -3.4028235e38, 65504, 1e-8], np.float32)
        return np.resize(special, COLS).view(np.uint8)
    if name in ("F16", "BF16"):
        bits = rng.integers(0, 2**16, COLS).astype("<u2")
        exponent = 0x7C00 if name == "F16" else 0x7F80
        bits = np.where((bits & exponent) == exponent, bits & ~np.uint16(0x4000), bits).astype("<u2")
        bits[:6] = [0, 0x8000, 1, 0x8001, exponent - 1, 0x8000 | (exponent - 1)]
        return bits.view(np.uint8)
    block_bytes, scale_offsets = BLOCKS[name]
    num_blocks = COLS // (256 if name.endswith("_K") else 32)
    blocks = rng.integers(0, 256, (num_blocks, block_bytes)).astype(np.uint8)
    for b, block in enumerate(blocks):
        for i, offset in enumerate(scale_offsets):
            block[offset:offset + 2] = f16_bytes(EXTREME_SCALES[(b + 3 * i) % len(EXTREME_SCALES)])
    return blocks.ravel()


def rows_of(name):
    gaussian = rng.standard_normal(COLS).astype(np.float32)
    outliers = rng.standard_normal(COLS).astype(np.float32)
    outliers[[7, 100, 255]] *= 40
    outliers[32:64] = 0
    encoded = [encode(name, gaussian), encode(name, outliers), extreme(name), encode(name, gaussian * np.float32(1e-3))]
    return np.stack(encoded), gaussian


def b64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main(path):
    types = {}
    for name in TYPES:
        data, gaussian = rows_of(name)
        values = data.view("<f4") if name == "F32" else dequantize(data, T[name]).astype("<f4")
        assert values.shape == (4, COLS) and np.isfinite(values).all(), name
        rms = float(np.sqrt(np.mean((values[0] - gaussian) ** 2)))
        print(f"{name:5} rms error on Gaussian data {rms:.5f}")
        types[name] = {"bytes": b64(data), "values": b64(values)}
    note = ("Made once by make-weight-types.py with the PyPI package gguf 0.19.0. `bytes`: 4 rows of 256 weights as in a GGUF file; "
            "`values`: their float32 values as gguf.quants.dequantize gives them; both base64, little-endian, row after row.")
    rows = ["Gaussian", "Gaussian with outliers of 40 and 32 zeros", "random codes under extreme scales", "Gaussian times 0.001"]
    with open(path, "w") as file:
        json.dump({"note": note, "numRows": 4, "numCols": COLS, "rows": rows, "types": types}, file, indent=1)
        file.write("\n")


main(sys.argv[1])
