import { BRANCH_CONDITIONS } from './branch-conditions.ts';
import type { Condition } from './condition.ts';
import { FILE_CONDITIONS } from './file-conditions.ts';
import { PREEMPTION_CONDITIONS } from './preemption-conditions.ts';
import { PREFIX_CONDITIONS } from './prefix-conditions.ts';
import { REQUEST_CONDITIONS } from './request-conditions.ts';
import { STEP_CONDITIONS } from './step-conditions.ts';

/**
 * The rows of the matrix. A condition more is an entry of one of these lists: it opens engines (`Cell.withEngine`, with any option of
 * loading), runs prompts (`Cell.check`, with any field of a request) and says what must have happened (`Cell.require`).
 */
export const EXACTNESS_CONDITIONS: readonly Condition[] = [
  ...STEP_CONDITIONS,
  ...PREFIX_CONDITIONS,
  ...PREEMPTION_CONDITIONS,
  ...BRANCH_CONDITIONS,
  ...FILE_CONDITIONS,
  ...REQUEST_CONDITIONS,
];
