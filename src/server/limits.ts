/** What a request may be, whoever sends it. What an operator may choose stands in serve-options.ts. */
export const LIMITS = {
  /** Bytes of a request's body. */
  bodyBytes: 4_000_000,
  /** Bytes of all headers together. */
  headerBytes: 16_384,
  messages: 1000,
  /** Content parts of one message. */
  contentParts: 100,
  /** Answers of one prompt. */
  choices: 8,
  /** Prompts of one call of /v1/completions. */
  prompts: 16,
  /** Token ids of one body. */
  tokens: 1_000_000,
  stops: 4,
  stopChars: 500,
  logitBiases: 1024,
  topLogprobs: 20,
  /** Nesting and characters of a JSON schema. */
  schemaDepth: 32,
  schemaChars: 100_000,
  /** Characters of a name that a client gives, such as a conversation's. */
  nameChars: 200,
  metadataEntries: 16,
  /** Connections at a time. */
  connections: 2000,
  /** A client that has not sent all of its headers, or of its request, by then is told so and dropped. */
  headersMs: 10_000,
  requestMs: 30_000,
  /** How long a connection without requests stays open. */
  keepAliveMs: 65_000,
  /** How long a stream's reader may leave what was sent unread. */
  slowReaderMs: 30_000,
} as const;

/** Limits that tests make smaller. */
export type Patience = { readonly [Name in 'headersMs' | 'requestMs' | 'slowReaderMs']: number };
