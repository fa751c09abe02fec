import { KvantError } from '../../errors.ts';
import type { EngineRequest } from '../request.ts';
import type { DraftModel } from './draft-model.ts';
import { LookupSpeculator } from './lookup-speculator.ts';
import { ModelSpeculator } from './model-speculator.ts';
import type { Speculator } from './speculator.ts';
import { StepCosts } from './step-costs.ts';

/** Makes speculators for the requests of an engine. */
export class Speculation {
  /** Learns from the engine's steps. */
  readonly costs = new StepCosts();
  readonly #draftModel: DraftModel | undefined;

  constructor(draftModel?: DraftModel) {
    this.#draftModel = draftModel;
  }

  /** @returns undefined for a request that wants no drafts. @throws KvantError INVALID_OPTION without a draft model */
  create({ speculate, sampling }: EngineRequest): Speculator | undefined {
    if (speculate === 'lookup') return new LookupSpeculator(this.costs);
    if (speculate !== 'draft') return undefined;
    if (!this.#draftModel) {
      const message = 'option "speculate" is draft, but the model was loaded without a draft model: give draftModel';
      throw new KvantError('INVALID_OPTION', message);
    }
    return new ModelSpeculator(this.#draftModel.createDrafter(sampling), this.costs, () => performance.now());
  }
}
