import type { ModelFile } from '../../model/model-file.ts';
import type { Tokenizer } from '../../tokens/tokenizer.ts';
import type { LoadPlan } from '../plan-load.ts';
import type { EngineLoadOptions } from '../protocol.ts';
import { rootKey } from '../../cache/prefix-key.ts';
import { KvMemory } from '../kv-memory.ts';
import { createKernelsFor, loadOnto, type KernelPlatform } from '../start-model.ts';
import { DraftModel } from './draft-model.ts';

/**
 * Loads a model that drafts for another, as the plan of that one has it. Leaves the file open.
 *
 * @param target whose vocabulary it has, see `checkSameVocabulary`
 * @throws KvantError what loading a model throws
 */
export async function loadDraftModel(
  draft: ModelFile,
  target: { readonly plan: LoadPlan; readonly tokenizer: Pick<Tokenizer, 'endIds'> },
  options: Pick<EngineLoadOptions, 'backend' | 'threads'>,
  platform: KernelPlatform,
  onProgress?: (loadedBytes: number) => void,
): Promise<DraftModel> {
  const plan = target.plan.memory.draft;
  if (!plan) throw new RangeError('the memory plan has no draft model');
  const kernels = await createKernelsFor(draft, plan, options, platform);
  const { transformer } = await loadOnto(kernels, draft, onProgress);
  // Nobody shares its pages, so they need no identity.
  const memory = new KvMemory(kernels, { numBytes: plan.arenaBytes, root: rootKey({}) });
  return new DraftModel({ name: draft.name, kernels, model: transformer, memory, endIds: target.tokenizer.endIds });
}
