import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SAMPLING_DEFAULTS } from '../defaults.ts';
import { createSpeculator, resolveMode } from './create-speculator.ts';
import { LookupSpeculator } from './lookup-speculator.ts';
import { StepCosts } from './step-costs.ts';

const PARTS = { costs: new StepCosts(), draftModel: undefined, now: () => 0 };
const REQUEST = { sampling: { ...SAMPLING_DEFAULTS, seed: 0 }, promptTokens: [1] };

test('who names no mode gets the draft model if there is one, else lookup', () => {
  assert.equal(resolveMode(undefined, false), 'lookup');
  assert.equal(resolveMode(undefined, true), 'draft');
  assert.equal(resolveMode('off', true), 'off');
});

test('each mode has its speculator, and draft without a draft model says what to do', () => {
  assert.equal(createSpeculator('off', REQUEST, PARTS), undefined);
  assert.ok(createSpeculator('lookup', REQUEST, PARTS) instanceof LookupSpeculator);
  assert.throws(() => createSpeculator('draft', REQUEST, PARTS), {
    code: 'INVALID_OPTION',
    message:
      'option "speculate" is draft, but no draft model was loaded: load the model with option "draftModel", or speculate by lookup',
  });
});
