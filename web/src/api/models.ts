/** A model of `GET /v1/models`, with what Kvant adds. */
export interface ListedModel {
  readonly id: string;
  readonly kvant?: {
    /** The format of a request that names none. */
    readonly kv?: string;
    readonly ctx?: number;
    /** Formats that a request may choose. */
    readonly kv_formats?: readonly string[];
  };
}

export interface ModelList {
  readonly data: readonly ListedModel[];
}
