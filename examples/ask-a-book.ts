/**
 * Asks a book. The first question reads it, which takes as long as its prompt does; its quantized pages are then kept in a file, so that later questions start
 * at once, also in the next run, and after the machine was off. No server: the library by itself.
 *
 *     npm install kvant                # and import from 'kvant' below
 *     node ask-a-book.ts book.txt "Who is the captain?" "What does he hunt?"     # Node 22.18 or later runs TypeScript as it is
 *
 * KVANT_MODEL names another model than the one that comes with the package, KVANT_CTX how many tokens book and answer may have together,
 * KVANT_PAGES the folder of the kept pages. `kvant --file book.txt "..."` does the same without a program; `--session talk.kvp` keeps a whole conversation.
 */
import { readFile } from 'node:fs/promises';
// In your own project: from 'kvant'.
import { load, type ChatMessage, type Model } from '../src/index.ts';

const { KVANT_MODEL, KVANT_CTX = '8192', KVANT_PAGES = 'kept-pages' } = process.env;

const messagesOf = (book: string, question: string): readonly ChatMessage[] => [
  { role: 'system', content: `Answer from this book, in one or two sentences.\n\n${book}` },
  { role: 'user', content: question },
];

async function ask(model: Model, messages: readonly ChatMessage[]): Promise<void> {
  console.log(`\n> ${messages[1].content}`);
  const generation = model.generate({ messages, maxTokens: 80 });
  for await (const { text } of generation) process.stdout.write(text);
  const { promptTokens, cachedTokens, timings } = await generation.result;
  const seconds = (timings.ttftMs / 1000).toFixed(2);
  console.log(`\n[${cachedTokens} of ${promptTokens} tokens were in the cache; first token after ${seconds} s]`);
}

/** Puts the book's kept pages into the cache. @returns whether the folder has them; one page, with the question, may differ */
async function restore(model: Model, messages: readonly ChatMessage[]): Promise<boolean> {
  const restored = await model.loadFromFolder(KVANT_PAGES, { messages });
  console.log(`restored ${restored?.numTokens ?? 0} tokens from ${KVANT_PAGES}`);
  return restored !== undefined && restored.numPages >= restored.numPagesInText - 1;
}

const [path, ...questions] = process.argv.slice(2);
if (path === undefined || questions.length === 0) {
  console.error('usage: node ask-a-book.ts BOOK.txt QUESTION...');
  process.exit(1);
}
const model = await load({
  ctx: Number(KVANT_CTX),
  ...(KVANT_MODEL !== undefined && { model: KVANT_MODEL }),
});
const book = await readFile(path, 'utf8');
const first = messagesOf(book, questions[0]);
const isKept = await restore(model, first);
for (const question of questions) await ask(model, messagesOf(book, question));
if (!isKept) await model.saveToFolder(KVANT_PAGES, { messages: first, title: path });
await model.close();
