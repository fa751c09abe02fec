/**
 * Takes pictures of the page with the embedded model, light, dark and on a phone, as PNG files in a folder:
 * `node scripts/page-screenshots.ts FOLDER`, after `npm run build:web`.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { load } from '../src/index.ts';
import { createServer } from '../src/server/create-server-node.ts';

const LOOKS: readonly { readonly name: string; readonly options: BrowserContextOptions }[] = [
  { name: 'light', options: { viewport: { width: 1360, height: 850 }, colorScheme: 'light' } },
  { name: 'dark', options: { viewport: { width: 1360, height: 850 }, colorScheme: 'dark' } },
  { name: 'phone', options: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true } },
];

const TALE = `The lighthouse on the island of Skarn was built in 1841 by a widow, Ingrid Dahl, after her husband's ship was lost on the rocks
below. She paid for it with the money that was to have bought a second ship, and kept the lamp herself for thirty-one years. In that time four
ships struck the rocks; in the thirty-one years before there had been sixty. She wrote down the weather every evening, and beside it the name of
each ship that passed, so that her books are now the only record of many of them. When she died her daughter Solveig took over, and with her came
the first electric lamp of that coast, which could be seen from twenty-two miles away. The fishermen did not like it. They said that it drew the
herring out to sea, and for two winters they may have been right. The lighthouse was closed in 1988, when the last keeper, a grandson of Solveig,
retired. Today it is a small museum. Visitors can read Ingrid's books, climb the one hundred and eighteen steps, and, on the first Sunday of
August, see the old oil lamp lit again for one night.`;

async function main(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await using model = await load({ maxSequences: 4, kvMemory: '16MB' });
  const server = await createServer({ model, webFolder: fileURLToPath(new URL('../build/web', import.meta.url)) });
  const address = await server.app.listen({ host: '127.0.0.1', port: 0 });
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    for (const { name, options } of LOOKS) await photograph(browser, address, { folder, name, options });
  } finally {
    await browser.close();
    await server.drain(0);
  }
}

interface Picture {
  readonly folder: string;
  readonly name: string;
  readonly options: BrowserContextOptions;
}

async function photograph(browser: Browser, address: string, { folder, name, options }: Picture): Promise<void> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(address);
  await page.locator('.example:enabled').first().waitFor();
  const shoot = (what: string): Promise<Buffer> => page.screenshot({ path: join(folder, `${name}${what}.png`) });
  await shoot('-empty');
  await chooseSettings(page);
  await converse(page);
  await shoot('');
  if (name === 'phone') await photographDrawers(page, shoot);
  await context.close();
}

/** The likeliest words, so that pictures differ by what has changed only. */
async function chooseSettings(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Settings of this chat' }).click();
  await page.getByRole('dialog').getByLabel('Temperature').fill('0');
  await page.getByRole('dialog').getByLabel('Most tokens of an answer').fill('220');
  await page.getByRole('button', { name: 'Save' }).click();
}

/** Chats in several formats, one about a document with a branch; two that stand on the same pages are answered as the picture is taken. */
async function converse(page: Page): Promise<void> {
  await ask(page, 'Why is the sky blue?', 'q8');
  await newChat(page);
  await ask(page, 'Name three rivers and where they end.', 'q2');
  await newChat(page);
  await attach(page);
  await ask(page, 'Who built the lighthouse?', 'q4');
  await page.getByRole('button', { name: 'Edit message' }).click();
  await page.getByRole('textbox', { name: 'Edited message' }).fill('When was the lighthouse built, and who built it?');
  await page.getByRole('button', { name: 'Send as a branch' }).click();
  await page.getByRole('img', { name: 'Branch 2 of 2' }).waitFor();
  await endOfAnswer(page);
  await newChat(page);
  await attach(page);
  await send(page, 'Tell this tale again in your own words.');
  await openChats(page);
  await page.getByRole('button', { name: 'Who built the lighthouse?', exact: true }).click();
  await send(page, 'And what can visitors do there today?');
  await page.locator('.answer').last().locator('.markdown', { hasText: /.{60}/ }).waitFor();
}

async function photographDrawers(page: Page, shoot: (what: string) => Promise<Buffer>): Promise<void> {
  await page.getByRole('button', { name: 'Cache' }).click();
  await page.getByRole('dialog', { name: 'Cache' }).getByRole('meter').waitFor();
  await page.waitForTimeout(300);
  await shoot('-cache');
  await page.keyboard.press('Escape');
  await openChats(page);
  await page.waitForTimeout(300);
  await shoot('-chats');
}

async function ask(page: Page, text: string, kv: string): Promise<void> {
  await page.getByLabel('KV format').selectOption(kv);
  await send(page, text);
  await endOfAnswer(page);
}

async function send(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message', exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByRole('button', { name: 'Stop' }).waitFor();
}

async function endOfAnswer(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Send' }).waitFor();
}

async function attach(page: Page): Promise<void> {
  const file = { name: 'lighthouse.txt', mimeType: 'text/plain', buffer: Buffer.from(TALE) };
  await page.locator('input[type=file]').setInputFiles(file);
  await page.locator('.attachment', { hasText: 'tokens' }).waitFor();
}

async function openChats(page: Page): Promise<void> {
  const button = page.getByRole('button', { name: 'Show chats' });
  if (await button.isVisible()) await button.click();
}

async function newChat(page: Page): Promise<void> {
  await openChats(page);
  await page.getByRole('button', { name: 'New chat' }).click();
  await page.getByRole('heading', { name: 'New chat' }).waitFor();
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: node scripts/page-screenshots.ts FOLDER\n');
  process.exit(1);
}
await main(folder);
