import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import axe from 'axe-core';
import type { Browser, Locator, Page } from 'playwright-core';
import { build } from 'vite';
import { load, type Model } from '../../src/index.ts';
import { createServer, type KvantServer } from '../../src/server/create-server-node.ts';
import { launchChromium, SKIP_CHROMIUM } from '../../test/support/chromium.ts';
import { dropFile, openPage } from './page-browser.ts';

/** The page of the server as somebody uses it: built from its sources, served with the embedded model, in a browser. */

const KEY = 'a-key-of-the-test';
const MOST_BYTES = 70_000;
/** A little longer than answers are kept in memory only. */
const STORED_EVERY_MS = 1300;
/** Long enough for whole pages of the cache to be shared. */
const LONG_QUESTION = `Here is a list of words: ${'river stone cloud lamp window '.repeat(30)}. Say hello.`;

let folder: string;
let model: Model;
let server: KvantServer;
let lockedServer: KvantServer;
let browser: Browser;
let address: string;
let lockedAddress: string;

before(async () => {
  if (SKIP_CHROMIUM) return;
  folder = await mkdtemp(join(tmpdir(), 'kvant-page-'));
  const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url));
  await build({ configFile, logLevel: 'warn', build: { outDir: folder } });
  model = await load({ ctx: 2048, maxSequences: 2 });
  server = await createServer({ model, webFolder: folder });
  lockedServer = await createServer({ model, webFolder: folder, options: { apiKey: [KEY] } });
  address = await server.app.listen({ port: 0, host: '127.0.0.1' });
  lockedAddress = await lockedServer.app.listen({ port: 0, host: '127.0.0.1' });
  browser = await launchChromium();
});

after(async () => {
  if (SKIP_CHROMIUM) return;
  await browser.close();
  await Promise.all([server.drain(1000), lockedServer.drain(1000)]);
  await model.close();
  await rm(folder, { recursive: true });
});

function field(page: Page): Locator {
  return page.getByRole('textbox', { name: 'Message', exact: true });
}

function answers(page: Page): Locator {
  return page.locator('.message.answer');
}

/** The newest answer, once it has come to its end. */
async function wholeAnswer(page: Page): Promise<Locator> {
  const answer = answers(page).last();
  await answer.locator('.message-tools').waitFor();
  return answer;
}

async function ask(page: Page, text: string): Promise<Locator> {
  const before = await answers(page).count();
  await field(page).fill(text);
  await field(page).press('Enter');
  await answers(page).nth(before).waitFor();
  return await wholeAnswer(page);
}

/** Soon, where a whole answer would take many seconds. */
async function nothingRunsSoon(): Promise<void> {
  const endMs = Date.now() + 3000;
  while ((await model.stats()).requests.running > 0) {
    assert.ok(Date.now() < endMs, 'the answer still runs');
    await setTimeout(20);
  }
}

/** Answers are short, and the same each time. */
async function limitAnswers(page: Page, maxTokens: number): Promise<void> {
  await page.getByRole('button', { name: 'Settings of this chat' }).click();
  const dialog = page.getByRole('dialog', { name: 'Settings of this chat' });
  await dialog.getByLabel('Most tokens of an answer').fill(String(maxTokens));
  await dialog.getByLabel('Temperature').fill('0');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
}

/** Colours are no final ones while something slides in. Rejects for what is taken away meanwhile, which is as good. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const ending = document.getAnimations().filter(({ effect }) => effect?.getTiming().iterations !== Infinity);
    await Promise.allSettled(ending.map(({ finished }) => finished));
  });
}

async function noSeriousViolation(page: Page, what: string): Promise<void> {
  await settled(page);
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe: inPage } = globalThis as unknown as { readonly axe: typeof axe };
    const results = await inPage.run();
    return results.violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html) }));
  });
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(serious, [], `axe-core, ${what}`);
}

describe('the page', { skip: SKIP_CHROMIUM }, () => {
  it(`takes less than ${MOST_BYTES / 1000} kB, compressed`, async (t) => {
    const assets = join(folder, 'assets');
    const files = await Promise.all((await readdir(assets)).map((name) => readFile(join(assets, name))));
    const bytes = files.reduce((sum, file) => sum + gzipSync(file).length, 0);
    t.diagnostic(`${bytes} bytes`);
    assert.ok(bytes < MOST_BYTES);
  });

  it('streams an answer, moves the gauge, and branches on shared pages, which a reload keeps', async () => {
    const { page, context, wrongs } = await openPage(browser, address);
    const gauge = page.getByRole('meter', { name: 'Cache against f16' });
    await gauge.waitFor();
    const bytesBefore = Number(await gauge.getAttribute('aria-valuenow'));
    await limitAnswers(page, 40);

    await field(page).fill(LONG_QUESTION);
    await field(page).press('Enter');
    const lengths = new Set<number>();
    const stop = page.getByRole('button', { name: 'Stop' });
    await stop.waitFor();
    while (await stop.isVisible()) lengths.add(((await answers(page).textContent()) ?? '').length);
    assert.ok(lengths.size > 3, `the text was seen at ${lengths.size} lengths: it streams`);
    const first = await wholeAnswer(page);
    assert.match(
      (await first.locator('.answer-note').textContent()) ?? '',
      /first token .* tok\/s.*q4 · [\d.]+ bits\/element/,
    );
    await page.waitForFunction(
      (least) => Number(document.querySelector('.gauge')?.getAttribute('aria-valuenow')) > least,
      bytesBefore,
    );
    const { f16, used } = await gauge.evaluate((element) => ({
      f16: Number(element.getAttribute('aria-valuemax')),
      used: Number(element.getAttribute('aria-valuenow')),
    }));
    assert.ok(f16 > 2 * used, `f16 would take ${f16} bytes for ${used}`);

    const secondText = await (await ask(page, 'Name a colour.')).locator('.markdown').textContent();
    await page.getByRole('button', { name: 'Edit message' }).last().click();
    const editor = page.getByRole('textbox', { name: 'Edited message' });
    await editor.fill('Name an animal.');
    await editor.press('Enter');
    const branch = page.getByRole('img', { name: 'Branch 2 of 2' });
    await branch.waitFor();
    const branched = await wholeAnswer(page);
    assert.match(
      (await branched.locator('.shared-pages').textContent()) ?? '',
      /shares [2-9] pages · \d+ of \d+ tokens cached/,
    );
    await page.getByRole('button', { name: 'Previous branch' }).click();
    await page.getByRole('img', { name: 'Branch 1 of 2' }).waitFor();
    assert.equal(await answers(page).last().locator('.markdown').textContent(), secondText);

    await answers(page).last().getByRole('button', { name: 'Answer again' }).click();
    await answers(page).last().getByRole('img', { name: 'Branch 2 of 2' }).waitFor();
    await wholeAnswer(page);

    const shown = await page.locator('.messages').innerText();
    await page.reload();
    await page.locator('.messages').waitFor();
    assert.equal(await page.locator('.messages').innerText(), shown);
    assert.equal(await page.getByRole('navigation', { name: 'Chats' }).getByRole('listitem').count(), 1);
    await noSeriousViolation(page, 'light');
    assert.deepEqual(wrongs, []);
    await context.close();
  });

  it('stops an answer on Escape, frees its pages, and keeps what has come', async () => {
    const { page, context, wrongs } = await openPage(browser, address);
    await field(page).fill('Write a very long story about a ship.');
    await field(page).press('Enter');
    await page.waitForFunction(() => (document.querySelector('.answer .markdown')?.textContent ?? '').length > 40);
    await page.keyboard.press('Escape');
    const answer = await wholeAnswer(page);
    assert.match((await answer.locator('.answer-note').textContent()) ?? '', /stopped/);
    const text = (await answer.locator('.markdown').textContent()) ?? '';
    assert.ok(text.length > 40);
    // The page may say so from before the answer began.
    await page.locator('.pill', { hasText: 'idle' }).waitFor();
    await nothingRunsSoon();

    // Left in the middle, an answer is there as far as it was stored.
    await answer.getByRole('button', { name: 'Answer again' }).click();
    await page.locator('.pill', { hasText: '1 running' }).waitFor();
    await page.waitForTimeout(STORED_EVERY_MS);
    await page.reload();
    const left = await wholeAnswer(page);
    await left.getByRole('img', { name: 'Branch 2 of 2' }).waitFor();
    assert.match((await left.locator('.answer-note').textContent()) ?? '', /stopped/);
    assert.notEqual(await left.locator('.markdown').textContent(), '');
    await page.locator('.pill', { hasText: 'idle' }).waitFor();
    assert.deepEqual(wrongs, []);
    await context.close();
  });

  it('takes a dropped document into the message with its tokens, and refuses what is no text or too long, in words', async () => {
    const { page, context, wrongs } = await openPage(browser, address);
    await limitAnswers(page, 12);
    const place = page.locator('.attachment');
    await dropFile(page, 'picture.png', '\u0000\u0001');
    await place.filter({ hasText: 'picture.png is no text in UTF-8' }).waitFor();
    await dropFile(page, 'long.txt', 'many words '.repeat(2000));
    await place.filter({ hasText: /long\.txt has [\d,]+ tokens; the context holds 2,048/ }).waitFor();
    await dropFile(page, 'tale.txt', 'The captain of the ship was called Ahab. '.repeat(20));
    await place.filter({ hasText: /tale\.txt.*\d+ tokens/ }).waitFor();
    await ask(page, 'What was the captain called?');
    assert.equal(await place.count(), 0);
    assert.match(await page.locator('.message-document').innerText(), /tale\.txt\s+\d+ tokens/);
    // Another question about the same text, as a branch: the document is not computed again.
    await page.getByRole('button', { name: 'Edit message' }).click();
    await page.getByRole('textbox', { name: 'Edited message' }).fill('Who was on the ship?');
    await page.getByRole('button', { name: 'Send as a branch' }).click();
    await page.getByRole('img', { name: 'Branch 2 of 2' }).waitFor();
    const answer = await wholeAnswer(page);
    assert.match((await answer.locator('.shared-pages').textContent()) ?? '', /shares [2-9] pages/);
    assert.deepEqual(wrongs, []);
    await context.close();
  });

  it('chooses the KV format of a chat, and plans memory', async () => {
    const { page, context, wrongs } = await openPage(browser, address);
    await limitAnswers(page, 8);
    await page.getByLabel('KV format').selectOption('q8');
    const answer = await ask(page, 'Say hello.');
    assert.match((await answer.locator('.answer-note').textContent()) ?? '', /q8 · /);
    const planner = page.getByRole('region', { name: 'What fits' });
    await planner.getByLabel('Context, tokens').fill('8000');
    await planner.getByLabel('Memory').fill('400MB');
    await planner.getByText(/Best that fits: q[2-8]/).waitFor();
    await planner.getByRole('row', { name: /^f16 .* does not fit/ }).waitFor();
    assert.deepEqual(wrongs, []);
    await context.close();
  });

  it('can be used with the keyboard alone, and tells a screen reader whole sentences', async () => {
    const { page, context, wrongs } = await openPage(browser, address);
    const { keyboard } = page;
    await page.locator('.example:enabled').first().waitFor();
    const focused = (): Promise<string> =>
      page.evaluate(
        () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
      );
    const tabTo = async (label: string, key = 'Tab'): Promise<void> => {
      for (let presses = 0; (await focused()) !== label; presses++) {
        assert.ok(presses < 40, `${label} is not reached with ${key}`);
        await keyboard.press(key);
      }
    };
    assert.equal(await focused(), 'Message', 'one can write at once');
    await tabTo('Skip to the message field', 'Shift+Tab');
    await keyboard.press('Enter');
    assert.equal(await focused(), 'Message');

    await tabTo('Settings of this chat');
    await keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await tabTo('Cancel');
    await keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await focused(), 'Settings of this chat');

    await limitAnswers(page, 30);
    await field(page).focus();
    await keyboard.type('Count: one, two, three.');
    await keyboard.press('Enter');
    await answers(page).waitFor();
    await wholeAnswer(page);
    await page.locator('[aria-live=polite]', { hasText: 'End of the answer.' }).waitFor({ state: 'attached' });
    await keyboard.press('ArrowUp');
    await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'Edited message');
    await keyboard.press('Escape');
    await page.waitForFunction(() => document.activeElement?.id === 'message');
    assert.deepEqual(wrongs, []);
    await context.close();
  });

  it('asks for the key of a server that has one, and keeps it as long as the tab', async () => {
    const { page, context } = await openPage(browser, lockedAddress);
    const dialog = page.getByRole('dialog', { name: 'API key' });
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('alert').getByText('The server asks for an API key.').waitFor();
    await page.getByRole('button', { name: 'Try again' }).click();
    await dialog.getByLabel('Key').fill('wrong');
    await dialog.getByRole('button', { name: 'Use key' }).click();
    await dialog.getByText('The server refused this key.').waitFor();
    await noSeriousViolation(page, 'the dialog for the key');
    await dialog.getByLabel('Key').fill(KEY);
    await dialog.getByLabel('Key').press('Enter');
    await page.locator('.example:enabled').first().waitFor();
    await page.reload();
    await page.locator('.example:enabled').first().waitFor();
    assert.equal(await dialog.count(), 0);
    const kept = await page.evaluate(() => JSON.stringify(localStorage));
    assert.ok(!kept.includes(KEY), 'the key is nowhere where it would outlive the tab');
    await context.close();
  });

  it('shows what went wrong in words, and tries again', async () => {
    const { page, context } = await openPage(browser, address);
    await limitAnswers(page, 8);
    const busy = { status: 429, headers: { 'retry-after': '2' }, json: { error: { message: '64 requests wait' } } };
    await page.route('**/v1/chat/completions', (route) => route.fulfill(busy));
    const failed = await ask(page, 'Say hello.');
    await failed.getByText('The server is busy; try again in 2 s. It says: 64 requests wait').waitFor();
    await page.unroute('**/v1/chat/completions');
    await failed.getByRole('button', { name: 'Try again' }).click();
    await answers(page).getByRole('img', { name: 'Branch 2 of 2' }).waitFor();
    const answer = await wholeAnswer(page);
    assert.notEqual((await answer.locator('.markdown').innerText()).trim(), '');
    await context.close();
  });

  it('loads and runs nothing that an answer brings along', async () => {
    const { page, context, wrongs } = await openPage(browser, address);
    const hostile =
      '![a](https://example.com/a.png) <img src="https://example.com/b.png" onerror="document.title=1"> <script>document.title=2</script>' +
      '<style>body{display:none}</style> <form action="https://example.com"><input></form> [x](javascript:document.title=3) **bold** <b onclick="x">c</b>';
    const chunk = { choices: [{ delta: { content: hostile }, finish_reason: 'stop' }] };
    const body = `data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`;
    await page.route('**/v1/chat/completions', (route) => route.fulfill({ contentType: 'text/event-stream', body }));
    const answer = await ask(page, 'Say hello.');
    assert.equal(await answer.locator('strong').textContent(), 'bold');
    assert.equal(
      await answer
        .locator('.markdown')
        .locator('img, script, style, form, input, [onclick], [href^=javascript]')
        .count(),
      0,
    );
    assert.equal(await page.title(), 'Kvant');
    assert.deepEqual(wrongs, []);
    await context.close();
  });

  it('has no serious violation of accessibility in the dark, and on a phone with its panels as drawers', async () => {
    const dark = await openPage(browser, address, { colorScheme: 'dark' });
    await dark.page.locator('.example:enabled').first().waitFor();
    await noSeriousViolation(dark.page, 'dark, no message yet');
    await limitAnswers(dark.page, 8);
    await ask(dark.page, 'Say hello.');
    await noSeriousViolation(dark.page, 'dark');
    await dark.page.getByRole('button', { name: 'Colours: As the system' }).click();
    await noSeriousViolation(dark.page, 'light by choice');
    assert.equal(await dark.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'light');
    await dark.context.close();

    const { page, context, wrongs } = await openPage(browser, address, {
      ...{ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
    });
    await limitAnswers(page, 8);
    await ask(page, 'Say hello.');
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(width, 360, 'nothing is wider than the phone');
    await noSeriousViolation(page, 'phone');
    await page.getByRole('button', { name: 'Cache' }).click();
    await page.getByRole('dialog', { name: 'Cache' }).getByRole('meter').waitFor();
    await noSeriousViolation(page, 'phone, cache');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Show chats' }).click();
    await page.getByRole('dialog', { name: 'Chats' }).getByRole('button', { name: 'New chat' }).click();
    await page.getByRole('heading', { name: /Chat with/ }).waitFor();
    assert.deepEqual(wrongs, []);
    await context.close();
  });
});
