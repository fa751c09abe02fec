import { KvantError } from '../../errors.ts';
import type { EngineRequest } from '../request.ts';
import type { SpeculationMode } from '../types.ts';
import type { DraftModel } from './draft-model.ts';
import { LookupSpeculator } from './lookup-speculator.ts';
import { ModelSpeculator } from './model-speculator.ts';
import type { Speculator } from './speculator.ts';
import type { StepCosts } from './step-costs.ts';

export interface SpeculationParts {
  /** Learnt from all steps of the engine. */
  readonly costs: StepCosts;
  readonly draftModel: DraftModel | undefined;
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number;
}

/** The mode of a request that names none. */
export function resolveMode(mode: SpeculationMode | undefined, hasDraftModel: boolean): SpeculationMode {
  return mode ?? (hasDraftModel ? 'draft' : 'lookup');
}

/**
 * Makes what drafts for one sequence; undefined where nothing does. It owns pages of the draft model until it is released.
 *
 * @throws KvantError INVALID_OPTION for `draft` where no draft model was loaded
 */
export function createSpeculator(
  mode: SpeculationMode,
  request: Pick<EngineRequest, 'sampling' | 'promptTokens'>,
  { costs, draftModel, now }: SpeculationParts,
): Speculator | undefined {
  if (mode === 'off') return undefined;
  if (mode === 'lookup') return new LookupSpeculator(costs);
  if (draftModel)
    return new ModelSpeculator(draftModel.createDrafter(request.sampling, request.promptTokens.length), costs, now);
  throw new KvantError(
    'INVALID_OPTION',
    'option "speculate" is draft, but no draft model was loaded: load the model with option "draftModel", or speculate by lookup',
  );
}
