import type { KvFormat } from '../../quant/kv-format.ts';
import type { Tokenizer } from '../../tokens/tokenizer.ts';
import { logSoftmax } from '../log-softmax.ts';
import type { EngineRequest } from '../request.ts';
import { sampleToken } from '../sampler.ts';
import type { FinishReason } from '../types.ts';
import { logitsOf, TokenChain } from './token-hash.ts';

/** What the model of hashes has to answer, whatever runs beside it. */
export interface ExpectedAnswer {
  readonly tokenIds: readonly number[];
  readonly text: string;
  /** Undefined: its logits are not numbers after `tokenIds`, and the request fails. */
  readonly finishReason: FinishReason | undefined;
  /** By position, those that the request asks for. */
  readonly logProbs: ReadonlyMap<number, Float32Array>;
}

export interface HashModel {
  readonly format: KvFormat;
  readonly tokenizer: Tokenizer;
  readonly maxContext: number;
  readonly nanPeriod: number;
}

/** Generates an answer straight from the tokens: no pages, no steps, no engine. At most one stop string. */
export function expectedAnswer(request: EngineRequest, model: HashModel): ExpectedAnswer {
  const { tokenizer, maxContext, nanPeriod } = model;
  const { promptTokens, maxTokens = Infinity } = request;
  const chain = new TokenChain(model.format);
  const logitsAfter = (token: number): Float32Array => logitsOf(chain.push(token), tokenizer.vocabularySize, nanPeriod);
  const logProbs = new Map<number, Float32Array>();
  let logits: Float32Array = new Float32Array();
  promptTokens.forEach((token, position) => {
    logits = logitsAfter(token);
    if (request.logProbsAt.includes(position)) logProbs.set(position, logSoftmax(logits));
  });
  const tokens = [...promptTokens];
  const answer = (finishReason: FinishReason | undefined): ExpectedAnswer => {
    const tokenIds = tokens.slice(promptTokens.length);
    return { tokenIds, text: textBefore(tokenizer.decode(tokenIds), request.stop), finishReason, logProbs };
  };
  while (tokens.length < Math.min(maxContext, promptTokens.length + maxTokens)) {
    if (Number.isNaN(logits[0])) return answer(undefined);
    const token = sampleToken(logits, tokens, tokens.length, request.sampling);
    tokens.push(token);
    if (tokenizer.endIds.has(token) || hasStop(tokenizer.decode(answer(undefined).tokenIds), request.stop)) {
      return answer('stop');
    }
    logits = logitsAfter(token);
  }
  return answer(tokens.length - promptTokens.length === maxTokens ? 'length' : 'context');
}

function hasStop(text: string, stop: readonly string[]): boolean {
  return stop.some((each) => text.includes(each));
}

function textBefore(text: string, [stop]: readonly string[]): string {
  return stop === undefined ? text : text.split(stop)[0];
}
