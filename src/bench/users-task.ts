import { randomStream } from './random-stream.ts';

/** What users ask for at once: each continues the prefix that all share by a prompt of their own. */
export interface UsersTask {
  /** Empty where nothing is shared. */
  readonly prefix: readonly number[];
  /** One a user, at least one token each. */
  readonly prompts: readonly (readonly number[])[];
  /** How many each gets, whether or not they would end a text. */
  readonly numNewTokens: number;
}

/** What one of them has seen. */
export interface UserTimes {
  /** From the moment when all asked to the user's first token. */
  readonly ttftMs: number;
  readonly numNewTokens: number;
}

/** One run of all. */
export interface UsersRun {
  /** From the moment when all asked to the last token of the last. */
  readonly wallMs: number;
  readonly users: readonly UserTimes[];
}

export interface UsersTaskSize {
  readonly numUsers: number;
  readonly numSharedTokens: number;
  /** Of each user, the prefix not counted. */
  readonly numOwnTokens: number;
  readonly numNewTokens: number;
}

/** Random tokens, other ones for every seed: no cache knows them from an earlier run. */
export function randomUsersTask(seed: number, size: UsersTaskSize, vocabularySize: number): UsersTask {
  const random = randomStream(seed);
  const draw = (length: number): number[] => Array.from({ length }, () => Math.floor(random() * vocabularySize));
  return {
    prefix: draw(size.numSharedTokens),
    prompts: Array.from({ length: size.numUsers }, () => draw(size.numOwnTokens)),
    numNewTokens: size.numNewTokens,
  };
}
