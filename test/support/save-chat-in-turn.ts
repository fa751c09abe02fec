import { load } from '../../src/index.ts';
import { tinyModel } from './reference.ts';

/** Saves two chats to one path in turn, for ever, to be killed: `node save-chat-in-turn.ts PATH`. Says on stdout when both have been saved. */

const [path] = process.argv.slice(2);
const model = await load({ model: tinyModel('llama-d64.Q8_0.gguf'), threads: 1 });
const chats = [
  model.chat({ system: 'It rains. '.repeat(30) }),
  model.chat({ system: 'It snows all day. '.repeat(60) }),
];
for (const chat of chats) await chat.send('Why?', { maxTokens: 4 }).result;
for (let save = 1; ; save++) {
  await chats[save % 2].save(path, { title: `chat ${save % 2}` });
  if (save === 2) process.stdout.write('saved\n');
}
