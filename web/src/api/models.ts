/** A model of `GET /v1/models`, with what Kvant adds. */
export interface ListedModel {
  readonly id: string;
  readonly kvant?: {
    /** As the model's file has it. */
    readonly name?: string;
    /** The format of a request that names none. */
    readonly kv?: string;
    readonly ctx?: number;
    /** Formats that a request may choose. */
    readonly kv_formats?: readonly string[];
    readonly backend?: unknown;
  };
}

export interface ModelList {
  readonly data: readonly ListedModel[];
}

/** What readers call it. */
export function nameOf({ id, kvant }: ListedModel): string {
  return kvant?.name ?? id;
}
