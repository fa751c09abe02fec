/** Fewest tokens of a prompt: it has two full pages, and is under way for long enough to be preempted. */
export const MIN_EXACT_TOKENS = 160;
export const MAX_EXACT_TOKENS = 100_000;
