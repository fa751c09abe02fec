import { KvantError } from '../errors.ts';
import type { Activation, Kernels, Step } from '../kernels/kernels.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';
import { Admission } from './admission.ts';
import { AnswerText } from './answer-text.ts';
import { createBatch, type BatchEntry } from './batch.ts';
import { checkRequest } from './check-request.ts';
import { ConversationCache } from './conversation-cache.ts';
import { EngineRun } from './engine-run.ts';
import type { KvMemory } from './kv-memory.ts';
import { logSoftmax } from './log-softmax.ts';
import type { EngineRequest, RequestEvents } from './request.ts';
import { RequestTimer } from './request-timer.ts';
import { sampleToken } from './sampler.ts';
import { planStep, type StepLimits } from './scheduler.ts';
import { createSequence, pagesOf, toRunningSequence } from './sequence.ts';
import type { FinishReason, GenerateResult } from './types.ts';

/** A model that can compute steps (model/transformer.ts). */
export interface ForwardModel {
  /** [output rows, vocabulary], valid after `forward`, until the next one. */
  readonly logits: Activation;
  forward(step: Step): Promise<void>;
}

export interface EngineParts {
  readonly kernels: Kernels;
  readonly model: ForwardModel;
  readonly tokenizer: Tokenizer;
  readonly memory: KvMemory;
  readonly loadMs: number;
  /** Most prompt tokens of one sequence in a step; the default is as many as fit. The answers do not depend on it. */
  readonly prefillChunk?: number;
  /** Lets other events of the thread happen; awaited between steps, so that an abort arrives within one. */
  readonly yieldToEvents: () => Promise<void>;
}

/** A request that the engine has taken. */
export interface SubmittedRequest {
  readonly id: number;
  /** @throws KvantError ENGINE_FAILED, ENGINE_CLOSED. An abort resolves. */
  readonly result: Promise<GenerateResult>;
}

/**
 * Generates text for many sequences at a time. Work is done in steps: the scheduler chooses tokens, the model computes
 * them, the sampler extends the sequences. The engine runs steps by itself as long as there is anything to do, and none
 * otherwise.
 */
export class Engine {
  readonly #parts: EngineParts;
  readonly #limits: StepLimits;
  readonly #conversations = new ConversationCache();
  readonly #admission: Admission;
  /** In the order in which they came. */
  readonly #waiting: EngineRun[] = [];
  /** By id, in the order in which they started. */
  readonly #running = new Map<number, EngineRun>();
  #nextId = 0;
  #loop: Promise<void> | undefined;
  /** Why the engine takes no more requests. */
  #end: KvantError | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    const { maxRows } = parts.kernels.config;
    this.#admission = new Admission(parts.memory, this.#conversations);
    this.#limits = { maxRows, prefillChunk: parts.prefillChunk ?? maxRows, maxPrefillRows: Infinity };
  }

  /**
   * Queues a request; it starts as soon as there is room.
   *
   * @throws KvantError PROMPT_TOO_LONG, INVALID_OPTION for a token outside the vocabulary or a position outside the
   *   prompt, ENGINE_FAILED or ENGINE_CLOSED if the engine has ended
   */
  submit(request: EngineRequest, events: RequestEvents): SubmittedRequest {
    if (this.#end) throw this.#end;
    const { tokenizer, loadMs, memory, kernels } = this.#parts;
    checkRequest(request, kernels.config.maxContext, tokenizer.vocabularySize);
    const sequence = createSequence(this.#nextId++, request, kernels.config.maxContext);
    const answer = new AnswerText(tokenizer, request.stop);
    const timer = new RequestTimer(() => performance.now());
    const { sealedLayout, format } = memory;
    const run = new EngineRun({ sequence, answer, timer, events, loadMs, sealedLayout, kvFormatName: format.name });
    this.#waiting.push(run);
    this.#wake();
    return { id: sequence.id, result: run.result };
  }

  /** Ends a request before the next step; nothing happens if it has ended. */
  abort(id: number): void {
    const run = this.#running.get(id) ?? this.#waiting.find(({ sequence }) => sequence.id === id);
    if (run) run.sequence.status = 'aborted';
  }

  /** Lets the pages of a conversation go. Its next request computes everything anew. */
  releaseConversation(conversation: number): void {
    this.#conversations.release(conversation);
  }

  /**
   * Rejects everything that runs or waits with ENGINE_CLOSED, and returns when the step that is under way has ended.
   */
  async close(): Promise<void> {
    this.#endAll(new KvantError('ENGINE_CLOSED', 'the model was closed: load it again to generate more'));
    await this.#loop;
  }

  /**
   * Checks that every page has exactly the owners that it counts.
   *
   * @throws PageIntegrityError with the sum that fails
   */
  checkPages(): void {
    const running = [...this.#running.values()].map(({ sequence }) => pagesOf(sequence));
    this.#parts.memory.check([...running, ...this.#conversations.allPages()]);
  }

  #wake(): void {
    this.#loop ??= this.#runSteps().finally(() => {
      this.#loop = undefined;
      if (this.#waiting.length > 0) this.#wake();
    });
  }

  async #runSteps(): Promise<void> {
    try {
      while (this.#waiting.length > 0 || this.#running.size > 0) {
        await this.#parts.yieldToEvents();
        if (!this.#end) await this.#step();
      }
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      this.#endAll(new KvantError('ENGINE_FAILED', `the engine failed: ${detail}; load the model again`, { cause }));
    }
  }

  /** Scheduler -> batch -> forward -> sample -> commit. */
  async #step(): Promise<void> {
    this.#endAborted();
    this.#admission.admit(this.#waiting, this.#running);
    const sequences = [...this.#running.values()].map(({ sequence }) => sequence);
    const plan = planStep(sequences.map(toRunningSequence), this.#limits);
    if (plan.length === 0) return;
    const batch = createBatch(plan, sequences, this.#parts.memory.pages);
    await this.#parts.model.forward(batch.step);
    for (const entry of batch.entries) this.#commit(entry);
  }

  #endAll(reason: KvantError): void {
    this.#end ??= reason;
    for (const run of [...this.#waiting.splice(0), ...this.#running.values()]) run.fail(this.#end);
    this.#running.clear();
  }

  #endAborted(): void {
    for (const run of this.#running.values()) {
      if (run.sequence.status === 'aborted') this.#finish(run, 'aborted');
    }
    const aborted = this.#waiting.filter(({ sequence }) => sequence.status === 'aborted');
    for (const run of aborted) {
      this.#waiting.splice(this.#waiting.indexOf(run), 1);
      run.finish('aborted');
    }
  }

  /** Takes in what a step has computed for a sequence, which may end it. */
  #commit({ sequence, numTokens, outputs }: BatchEntry): void {
    const run = this.#running.get(sequence.id);
    // Closing may have ended it while the step ran.
    if (!run) return;
    run.committed(numTokens);
    if (sequence.status === 'aborted') return this.#finish(run, 'aborted');
    try {
      for (const { position, outputRow } of outputs) this.#useLogits(run, position, outputRow);
    } catch (error) {
      return this.#drop(run, error);
    }
    const reason = run.finishReason();
    if (reason) this.#finish(run, reason);
  }

  #useLogits(run: EngineRun, position: number, outputRow: number): void {
    const { kernels, model } = this.#parts;
    const { request, tokens, maxLength } = run.sequence;
    const logits = kernels.readRow(model.logits, outputRow);
    if (request.logProbsAt.includes(position)) run.events.onLogProbs(position, logSoftmax(logits));
    if (position === tokens.length - 1 && tokens.length < maxLength) {
      run.addToken(sampleToken(logits, tokens, tokens.length, request.sampling));
    }
  }

  #finish(run: EngineRun, reason: FinishReason): void {
    run.finish(reason);
    this.#running.delete(run.sequence.id);
    const { request, tokens } = run.sequence;
    const pages = pagesOf(run.sequence);
    if (request.conversation === undefined) pages.release();
    else this.#conversations.keep(request.conversation, tokens, pages);
  }

  #drop(run: EngineRun, error: unknown): void {
    run.fail(error);
    this.#running.delete(run.sequence.id);
    pagesOf(run.sequence).release();
  }
}
