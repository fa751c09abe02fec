/**
 * What a model takes of V8's heap. Measured on Linux x64; see runtime-memory-node.ts.
 */

/**
 * A token takes its text and its places in hash tables, which V8 doubles when they are full: bytes per place. Byte-level vocabularies
 * (`gpt2`) have the list of merges, too.
 */
const TABLE_PLACE_BYTES = { gpt2: 230, other: 200 } as const;

/** The modules, and per byte of matrices: the means of models with 0.7 and 7 MB of them. */
const CALIBRATION = { fixed: 8e6, byte: 2.7 } as const;

/** The vocabulary. @param tokenizerModel as GGUF calls it: `gpt2`, `llama` */
export function vocabularyBytes(vocabularySize: number, tokenizerModel: string): number {
  const places = 2 ** Math.ceil(Math.log2(Math.max(1, vocabularySize)));
  const placeBytes = tokenizerModel === 'gpt2' ? TABLE_PLACE_BYTES.gpt2 : TABLE_PLACE_BYTES.other;
  return places * placeBytes;
}

/** What reads a calibration, and what is read: its text, its matrices, and what becomes garbage on the way. */
export function calibrationBytes(matrixBytes: number): number {
  return CALIBRATION.fixed + CALIBRATION.byte * matrixBytes;
}
