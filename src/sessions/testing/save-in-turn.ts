import { saveKvp } from '../kvp-file-node.ts';
import { turnSession } from './turn-session.ts';

/** Saves two sessions to one path in turn, for ever, to be killed: `node save-in-turn.ts PATH`. Says on stdout when the first is saved. */
const [path] = process.argv.slice(2);
for (let turn = 0; ; turn++) {
  const { header, pages } = turnSession(turn);
  await saveKvp(path, header, pages);
  if (turn === 0) process.stdout.write('saved\n');
}
