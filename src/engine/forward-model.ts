import type { Activation, Step } from '../kernels/kernels.ts';

/** A model that can compute steps (model/transformer.ts). */
export interface ForwardModel {
  /** [output rows, vocabulary], valid after `forward`, until the next one. */
  readonly logits: Activation;
  forward(step: Step): Promise<void>;
}
