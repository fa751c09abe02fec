/** What tests of kernels use of `node:assert/strict`, for a page. */

class AssertionError extends Error {}

type Expected = Error | RegExp | ((error: unknown) => boolean);

function ok(value: unknown, message = 'not true'): void {
  if (!value) fail(message);
}

function fail(message: string): never {
  throw new AssertionError(message);
}

function equal(actual: unknown, expected: unknown, message = ''): void {
  if (!Object.is(actual, expected)) fail(`${message}: ${String(actual)}, not ${String(expected)}`);
}

/** Of numbers, texts, and arrays of them at any depth. */
function deepEqual(actual: unknown, expected: unknown, message = ''): void {
  if (!isArray(actual) || !isArray(expected)) return equal(actual, expected, message);
  equal(actual.constructor, expected.constructor, message);
  equal(actual.length, expected.length, `${message}, length`);
  for (let i = 0; i < expected.length; i++) deepEqual(actual[i], expected[i], `${message}[${i}]`);
}

function isArray(value: unknown): value is ArrayLike<unknown> & object {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);
}

function throws(run: () => unknown, expected: Expected): void {
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  }
  check(error, expected);
}

async function rejects(promise: Promise<unknown>, expected: Expected): Promise<void> {
  const nothing = (): undefined => undefined;
  check(await promise.then(nothing, (error: unknown) => error), expected);
}

function check(error: unknown, expected: Expected): void {
  if (!(error instanceof Error)) fail('no error was thrown');
  const isExpected = isAsExpected(error, expected);
  if (!isExpected) fail(`another error was thrown: ${error.name}: ${error.message}`);
}

function isAsExpected(error: Error, expected: Expected): boolean {
  if (typeof expected === 'function') return expected(error);
  if (expected instanceof RegExp) return expected.test(String(error));
  return error.name === expected.name && error.message === expected.message;
}

export default { ok, fail, equal, deepEqual, throws, rejects };
