/** Random access to the bytes of a file, wherever it lies. Entry files make one from a path, tests from an array. */
export interface ByteSource {
  /** For messages: the path. */
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * Fills all of `into`, which may lie on a SharedArrayBuffer, from `offsetBytes` of the file on.
   *
   * @throws KvantError MODEL_TRUNCATED if the file ends before `into` is full, FILE_ERROR if it cannot be read
   */
  read(into: Uint8Array, offsetBytes: number): Promise<void>;
  close(): Promise<void>;
}
