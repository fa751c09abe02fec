import { numMeasured } from '../eval/perplexity.ts';
import type { EvalSetup } from '../eval/eval-engine.ts';
import type { BackendDescription, ModelInfo } from '../index.ts';
import type { EvalText } from './eval-text.ts';
import { formatCount, formatQuantity } from './format.ts';
import { describeMachine, type Machine } from './machine.ts';

/** What every evaluation says of itself, as `--json` prints it. */
export interface EvalHeader {
  readonly node: string;
  readonly machine: Machine;
  readonly model: string;
  readonly backend: BackendDescription;
  readonly activations: string;
  readonly text: string;
}

/** Of what is measured over windows of a text. */
export interface WindowHeader extends EvalHeader {
  readonly text_tokens: number;
  readonly ctx: number;
  readonly windows: number;
  /** In all windows: from the middle of each on, the last one left out. */
  readonly positions: number;
}

export function evalHeader({ name, backend }: ModelInfo, { activations }: EvalSetup, text: string): EvalHeader {
  return { node: process.version, machine: describeMachine(), model: name, backend, activations, text };
}

export function windowHeader(info: ModelInfo, setup: EvalSetup, { name, numTokens, windows }: EvalText): WindowHeader {
  return {
    ...evalHeader(info, setup, name),
    text_tokens: numTokens,
    ctx: windows[0].length,
    windows: windows.length,
    positions: numMeasured(windows),
  };
}

/** The line that says what is measured; the one above it names the model and the kernels. */
export function windowLine({ text, text_tokens, ctx, windows, positions, activations }: WindowHeader): string {
  const part = `${formatCount(windows * ctx)} of ${formatQuantity(text_tokens, 'token')}`;
  const cut = `${formatQuantity(windows, 'window')} of ${formatCount(ctx)}`;
  const measured = `${formatQuantity(positions, 'position')} from the middle of each window on, the last left out`;
  return `${text}: ${part} in ${cut}; ${measured}; activations ${activations}\n`;
}
