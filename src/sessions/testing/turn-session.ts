import { randomSession } from './random-session.ts';

/** The sessions that `save-in-turn.ts` saves: of different lengths, each some megabytes in many pieces. */
const SESSIONS = [0, 1].map((turn) =>
  randomSession({
    seed: turn + 1,
    numPages: [90, 60][turn],
    sealedPageBytes: 16_384,
    changes: { title: `turn ${turn}` },
  }),
);

export function turnSession(turn: number): (typeof SESSIONS)[0] {
  return SESSIONS[turn % SESSIONS.length];
}
