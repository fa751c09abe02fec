import type { ResolvedSampling } from '../../engine/defaults.ts';
import type { EngineRequest, RequestEvents } from '../../engine/request.ts';
import { sequenceBytes } from '../../engine/kv-memory.ts';
import type { GenerateResult } from '../../engine/types.ts';
import { parseKvFormat, type KvFormat } from '../../quant/kv-format.ts';
import type { EvalSetup } from '../eval-engine.ts';
import type { Baselines } from './baselines.ts';
import { Comparison, type Difference, type Expected } from './comparison.ts';
import { ExactEngine, type ExactEngineOptions } from './exact-engine.ts';
import { GREEDY, type ExactText } from './exact-text.ts';

/** A condition in one format. */
export interface CellResult {
  readonly kv: string;
  /** Compared rows of logits, and generated tokens. */
  readonly numRows: number;
  readonly numTokens: number;
  readonly firstDifference: Difference | undefined;
  /** Why the cell shows nothing, though nothing differs: for instance no page was found that should have been. */
  readonly problem: string | undefined;
}

/** A run that is compared with its baseline. */
export interface CheckedRun extends Pick<
  Partial<EngineRequest>,
  'conversation' | 'tenant' | 'format' | 'reusePrefix' | 'speculate'
> {
  /** What the run is called where it differs. */
  readonly name: string;
  /** Default: the text. */
  readonly tokens?: readonly number[];
  /** Default: greedy. */
  readonly sampling?: ResolvedSampling;
  /** Default: the text's number. */
  readonly maxTokens?: number;
  /** First position of the prompt whose logits are compared; none where absent, but those that choose tokens are in any case. */
  readonly rowsFrom?: number;
  /** How many tokens it must find in the cache; any number where absent. */
  readonly cachedTokens?: number;
  readonly events?: Partial<RequestEvents>;
}

export interface CellParts {
  readonly kv: string;
  readonly otherKvs: readonly string[];
  readonly text: ExactText;
  readonly baselines: Baselines;
  readonly setup: EvalSetup;
}

/** Where a condition runs: it opens engines, checks runs in them, and says what it could not bring about. */
export class Cell {
  readonly kv: string;
  /** Other formats, at least one. */
  readonly otherKvs: readonly string[];
  readonly text: ExactText;
  readonly #parts: CellParts;
  readonly #comparison = new Comparison();
  #problem: string | undefined;

  constructor(parts: CellParts) {
    this.#parts = parts;
    this.kv = parts.kv;
    this.otherKvs = parts.otherKvs;
    this.text = parts.text;
  }

  get format(): KvFormat {
    return this.#parts.baselines.config.format;
  }

  get scratchFile(): string | undefined {
    return this.#parts.setup.scratchFile;
  }

  /** Page memory that a sequence takes in the cell's format. */
  readonly bytesOf = (numTokens: number): number => {
    const { format, shape } = this.#parts.baselines.config;
    return sequenceBytes(format, shape, numTokens);
  };

  /** Page memory of so many sequences of the setup's context, in any formats. */
  roomForAny(numSequences: number): number {
    const { shape } = this.#parts.baselines.config;
    const { pageSize } = this.format;
    // Quantized pages are smaller by more than the sink page takes.
    return numSequences * sequenceBytes(parseKvFormat('f16', shape.headDim), shape, this.text.ctx + pageSize);
  }

  /** Uses an engine, and checks its pages afterwards. */
  async withEngine(
    options: Omit<ExactEngineOptions, 'kv'> & { readonly kv?: string },
    use: (engine: ExactEngine) => Promise<void>,
  ): Promise<void> {
    const engine = await ExactEngine.open({ kv: this.kv, ...options }, this.#parts.setup);
    try {
      await use(engine);
      engine.checkPages();
    } finally {
      await engine.close();
    }
  }

  /** Computes a run's baseline, for a run that has to start in time. */
  prepare({
    tokens = this.text.tokens,
    sampling = GREEDY,
    maxTokens = this.text.numGenerated,
  }: CheckedRun): Promise<Expected> {
    return this.#parts.baselines.of({ tokens, sampling, maxTokens });
  }

  /** Runs a prompt and compares what comes with its baseline. */
  async check(engine: ExactEngine, run: CheckedRun): Promise<GenerateResult> {
    const { text } = this;
    const { name, rowsFrom, cachedTokens, events, ...request } = run;
    const { tokens = text.tokens, sampling = GREEDY, maxTokens = text.numGenerated, ...sharing } = request;
    const expected = await this.prepare(run);
    const logProbsAt = rowsFrom === undefined ? [] : text.positions(tokens.length, rowsFrom);
    const positions: number[] = [];
    const whole = { promptTokens: tokens, sampling, maxTokens, logProbsAt, ...sharing };
    const result = await engine.run(whole, {
      ...events,
      onLogits: (position, logits) => {
        positions.push(position);
        this.#comparison.compareRow(position, logits, expected, name);
      },
    });
    this.#comparison.compareTokens(result.tokenIds, tokens.length, expected, name);
    const wanted = wantedPositions(logProbsAt, tokens.length, result.completionTokens);
    this.require(String(positions) === String(wanted), `${name}: rows of other positions came than were asked for`);
    if (cachedTokens !== undefined) {
      const found = `${result.cachedTokens} tokens were found in the cache`;
      this.require(result.cachedTokens === cachedTokens, `${name}: ${found}, not ${cachedTokens}`);
    }
    return result;
  }

  /** Notes that what the condition is about has not happened, if so. */
  require(holds: boolean, problem: string): void {
    if (!holds) this.#problem ??= problem;
  }

  result(): CellResult {
    const { numRows, numTokens, firstDifference } = this.#comparison;
    const problem = this.#problem ?? (numRows === 0 ? 'nothing was compared' : undefined);
    return { kv: this.kv, numRows, numTokens, firstDifference, problem };
  }
}

/** Whether a cell shows what it is to show. */
export function isExact({ firstDifference, problem }: CellResult): boolean {
  return firstDifference === undefined && problem === undefined;
}

/** Asked for, and those after which a token is chosen. */
function wantedPositions(logProbsAt: readonly number[], numPrompt: number, numGenerated: number): number[] {
  const choosing = Array.from({ length: numGenerated }, (_, i) => numPrompt - 1 + i);
  return [...new Set([...logProbsAt, ...choosing])];
}
