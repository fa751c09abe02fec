import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import type { PageStore } from '../cache/page-store.ts';
import { gainsByCalibration, isCalibrated, type Calibration } from '../calibration/calibration.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { ModelFile } from '../model/model-file.ts';
import { ChatTemplate, TEMPLATE_KEY } from '../tokens/chat-template.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { arithmeticOf, cacheIdentity, engineIdentity, type EngineIdentity } from './cache-identity.ts';
import { StepCosts } from './speculation/step-costs.ts';
import type { SessionFiles } from './session-files.ts';
import type { SessionModel } from './session-identity.ts';
import type { StartedEngine } from './check-started.ts';
import type { Auditor } from './auditor.ts';
import type { RequestEncoder } from './create-request.ts';
import { Engine, type EngineSharing } from './engine.ts';
import { GrammarCache } from './grammar/grammar-cache.ts';
import { KvFormats } from './kv-formats.ts';
import { KvMemory } from './kv-memory.ts';
import { loadCalibration, type TextFiles } from './load-calibration.ts';
import { addUsage } from './memory-plan.ts';
import { planLoad, withFormat, type LoadPlan, type MemoryPlatform } from './plan-load.ts';
import type { EngineLoadOptions } from './protocol.ts';
import type { DraftModel } from './speculation/draft-model.ts';
import { createKernelsFor, loadOnto, type KernelPlatform } from './start-model.ts';
import type { KvCheck, LoadProgress, ModelInfo } from './types.ts';
import { warmUp } from './warm-up.ts';
import { wallClockMs } from './wall-clock.ts';

/** What an engine needs of the platform that it runs on. */
export interface EnginePlatform extends KernelPlatform, MemoryPlatform, TextFiles {
  readonly yieldToEvents: () => Promise<void>;
  /** Where pages go that the KV cache has no room for. @throws KvantError FILE_ERROR */
  createPageStore(swap: NonNullable<EngineLoadOptions['swap']>): PageStore;
  readonly sessions: SessionFiles;
}

export interface LoadEngineOptions extends Omit<EngineLoadOptions, 'modelPath' | 'draftModelPath'> {
  /** A model that drafts. */
  readonly draft?: ModelFile | undefined;
  readonly prefillChunk?: number;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** A model that is ready to generate. */
export interface LoadedEngine extends RequestEncoder {
  readonly engine: Engine;
  readonly kernels: Kernels;
  readonly tokenizer: Tokenizer;
  readonly draftModel: DraftModel | undefined;
  readonly info: ModelInfo;
  readonly formats: KvFormats;
  readonly memory: KvMemory;
  /** Where session files lie, and what they say of the model. */
  readonly sessions: SessionFiles;
  readonly sessionModel: SessionModel;
}

/**
 * Plans the memory, makes the kernels and loads the weights of a model, and of one that drafts for it. Closes the models' files.
 *
 * @throws KvantError INVALID_OPTION for a context that the model does not have or an unknown KV format, OUT_OF_MEMORY,
 *   MODEL_INVALID, MODEL_TRUNCATED, FILE_ERROR, BACKEND_UNAVAILABLE, CALIBRATION_INVALID, CALIBRATION_MISMATCH,
 *   MODEL_UNSUPPORTED for a draft model with another vocabulary
 */
export async function loadEngine(
  model: ModelFile,
  options: LoadEngineOptions,
  platform: EnginePlatform,
): Promise<LoadedEngine> {
  try {
    return await load(model, options, platform);
  } finally {
    await model.file.close();
    await options.draft?.file.close();
  }
}

async function load(model: ModelFile, options: LoadEngineOptions, platform: EnginePlatform): Promise<LoadedEngine> {
  if (options.draft) {
    const { checkSameVocabulary } = await import('./speculation/check-vocabulary.ts');
    checkSameVocabulary(model, options.draft);
  }
  const { started, check } = await startChecked(model, options, platform);
  const { kernels, transformer, memory, tokenizer, plan } = started;
  let draftModel: DraftModel | undefined;
  try {
    draftModel = await startDraft(model, started, options, platform);
    if (kernels.compilesOnUse) await warmUp({ kernels, model: transformer, memory });
    // A check may have started other engines before: none of them had a store that would have to be closed.
    memory.store = options.swap && platform.createPageStore(options.swap);
    const loadMs = wallClockMs() - options.requestedAtMs;
    const speculation = { costs: new StepCosts(), draftModel, now: () => performance.now() };
    const { yieldToEvents } = platform;
    const parts = { kernels, model: transformer, tokenizer, memory, loadMs, yieldToEvents, speculation };
    const engine = new Engine({ ...parts, sharing: sharingOf(options) });
    const formats = new KvFormats({
      ...{ defaultFormat: kernels.config.format, identity: started.identity, shape: kernels.config.shape },
      betweenSteps: (task) => engine.betweenSteps(task),
      calibrationFor: calibrationReader(model, options, platform, started),
    });
    if (options.auditEvery !== undefined) {
      engine.startAudits(await startAuditor(options.auditEvery, started, formats));
    }
    const info = { ...describe(model, { kernels, draftModel }, plan, loadMs), ...(check && { kvCheck: check }) };
    const sessionModel = { modelName: model.name, modelFingerprint: started.identity.modelFingerprint };
    const chatTemplate = chatTemplateOf(model, tokenizer);
    const { sessions } = platform;
    const grammars = new GrammarCache(tokenizer);
    const encoder = { tokenizer, chatTemplate, formats, grammars };
    return { ...encoder, engine, kernels, draftModel, info, memory, sessions, sessionModel };
  } catch (error) {
    memory.store?.close();
    await kernels.close();
    await draftModel?.kernels.close();
    throw error;
  }
}

/** Whoever wants no audits does not load their code either. */
async function startAuditor(
  every: number,
  { kernels, transformer, plan }: Started,
  formats: KvFormats,
): Promise<Auditor> {
  const { Auditor } = await import('./auditor.ts');
  const reference = await formats.get('f16');
  const numBytes = plan.memory.auditBytes;
  return new Auditor({ kernels, model: transformer, reference, every, numBytes, now: () => performance.now() });
}

function sharingOf(options: LoadEngineOptions): EngineSharing {
  const { maxSequences, policy, maxPrefillRows, prefillChunk, tenantQuota } = options;
  const tenantQuotaUnits = tenantQuota === undefined ? undefined : Math.floor(tenantQuota / PAGE_UNIT_BYTES);
  return { maxSequences, prefillChunk, maxPrefillRows, policy, tenantQuotaUnits };
}

/** A model on kernels. */
interface Started extends StartedEngine {
  readonly plan: LoadPlan;
  readonly identity: EngineIdentity;
}

/** @param known the tokenizer, where the model was started before */
async function start(
  model: ModelFile,
  plan: LoadPlan,
  options: LoadEngineOptions,
  platform: EnginePlatform,
  known?: Tokenizer,
): Promise<Started> {
  const { maxRows, arenaBytes } = plan.memory;
  const starting = createKernelsFor(model, { ...plan.demand, maxRows }, options, platform);
  const tokenizer = known ?? (await tokenizerWhile(starting, model));
  const kernels = await starting;
  const loaded = await loadOnto(kernels, model, progressOf(options, 0, model, options.draft));
  try {
    const identity = await engineIdentity(model, arithmeticOf(kernels.description));
    const root = await cacheIdentity(identity, plan.demand.format);
    const memory = new KvMemory(kernels, { numBytes: arenaBytes, root });
    await kernels.ready?.();
    return { ...loaded, memory, tokenizer, plan, identity };
  } catch (error) {
    await kernels.close();
    throw error;
  }
}

/** Tells of the weights of both models together. */
function progressOf({ onProgress }: LoadEngineOptions, bytesBefore: number, ...models: (ModelFile | undefined)[]) {
  const totalBytes = models.reduce((total, model) => total + (model?.weightBytes ?? 0), 0);
  return (loadedBytes: number): void => onProgress?.({ loadedBytes: bytesBefore + loadedBytes, totalBytes });
}

/** Starts the model that drafts, if there is one. Whoever has none does not load its code either. */
async function startDraft(
  model: ModelFile,
  { plan, tokenizer }: Started,
  options: LoadEngineOptions,
  platform: EnginePlatform,
): Promise<DraftModel | undefined> {
  const { draft } = options;
  if (!draft) return undefined;
  const { loadDraftModel } = await import('./speculation/load-draft-model.ts');
  const onProgress = progressOf(options, model.weightBytes, model, draft);
  return loadDraftModel(draft, { plan, tokenizer }, options, platform, onProgress);
}

/** Starts a model with the option `checkKv`. Whoever does not ask for it does not load its code either. */
async function startChecked(
  model: ModelFile,
  options: LoadEngineOptions,
  platform: EnginePlatform,
): Promise<{ readonly started: Started; readonly check?: KvCheck }> {
  const calibration = await loadCalibration(model, options.calibration, options.kv, platform);
  const plan = planLoad(model, { ...options, calibration }, platform);
  if (options.checkKv === undefined) return { started: await start(model, plan, options, platform) };
  const { checkStarted } = await import('./check-started.ts');
  return checkStarted(options.checkKv, plan.demand.format, (format, tokenizer) => {
    return start(model, withFormat(plan, format), options, platform, tokenizer);
  });
}

/** Reads the model's calibration when a format first asks for it. */
function calibrationReader(
  model: ModelFile,
  { calibration: option }: LoadEngineOptions,
  platform: EnginePlatform,
  { plan, identity }: Started,
): (kv: string) => Promise<Calibration | undefined> {
  let reading: Promise<Calibration | undefined> | undefined;
  return async (kv) => {
    if (!gainsByCalibration(kv)) return undefined;
    if (plan.demand.calibration) return plan.demand.calibration;
    return (reading ??= loadCalibration(model, option, kv, platform, identity.modelFingerprint));
  };
}

/** Makes the tokenizer while the kernels start on other threads. If that fails, they are closed. */
async function tokenizerWhile(starting: Promise<Kernels>, model: ModelFile): Promise<Tokenizer> {
  try {
    return new Tokenizer(model.tokenizerMetadata);
  } catch (error) {
    const kernels = await starting;
    await kernels.close();
    throw error;
  }
}

/**
 * Parsed when it is first wanted: a template that is missing or broken is no obstacle to raw prompts. Holds on to the one key that it
 * needs, not to the lists of the vocabulary.
 */
function chatTemplateOf({ tokenizerMetadata }: ModelFile, tokenizer: Tokenizer): () => ChatTemplate {
  const metadata = { [TEMPLATE_KEY]: tokenizerMetadata[TEMPLATE_KEY] };
  let template: ChatTemplate | undefined;
  return () => (template ??= new ChatTemplate(metadata, tokenizer));
}

function describe(
  model: ModelFile,
  { kernels, draftModel }: Pick<LoadedEngine, 'kernels' | 'draftModel'>,
  { demand, memory, kvReason }: LoadPlan,
  loadMs: number,
): ModelInfo {
  const { hyperparameters } = model;
  return {
    name: model.name,
    path: model.file.name,
    architecture: hyperparameters.architecture,
    numParameters: model.numParameters,
    vocabularySize: hyperparameters.vocabularySize,
    contextLength: hyperparameters.contextLength,
    ctx: demand.ctx,
    kvFormat: kernels.config.format.name,
    ...(kvReason !== undefined && { kvReason }),
    ...(demand.calibration && isCalibrated(demand.format) && { calibration: demand.calibration.source }),
    ...(draftModel && { draftModel: draftModel.name }),
    backend: kernels.description,
    memory: draftModel ? addUsage(kernels.memoryUsage(), draftModel.kernels.memoryUsage()) : kernels.memoryUsage(),
    plannedBytes: memory.totalBytes,
    loadMs,
    hasChatTemplate: model.chatTemplate !== undefined,
  };
}
