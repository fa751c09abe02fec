/** What tests of kernels use of `node:test`, for a page: they are gathered, and run when they are asked for. */

interface TestContext {
  skip(reason: string): void;
}

interface PageTest {
  readonly title: string;
  readonly skip: string | false;
  readonly run: (context: TestContext) => Promise<void> | void;
}

export interface PageTestResult {
  readonly title: string;
  readonly ms: number;
  readonly skipped?: string;
  readonly error?: string;
}

const TESTS: PageTest[] = [];

export function test(
  title: string,
  { skip }: { readonly skip: string | false },
  run: (context: TestContext) => Promise<void> | void,
): void {
  TESTS.push({ title, skip, run });
}

export function titles(): string[] {
  return TESTS.map(({ title }) => title);
}

/** Runs tests one after another. */
export async function runTests(wanted: readonly string[]): Promise<PageTestResult[]> {
  const results: PageTestResult[] = [];
  for (const { title, skip, run } of TESTS.filter((other) => wanted.includes(other.title))) {
    const startMs = performance.now();
    let [skipped, error] = [skip || undefined, undefined as string | undefined];
    try {
      if (skipped === undefined) await run({ skip: (reason) => void (skipped = reason) });
    } catch (cause) {
      error = cause instanceof Error ? `${cause.message}\n${cause.stack}` : String(cause);
    }
    const ms = performance.now() - startMs;
    results.push({ title, ms, ...(skipped !== undefined && { skipped }), ...(error !== undefined && { error }) });
  }
  return results;
}
