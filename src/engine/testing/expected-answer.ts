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
  /** Of requests that name none. */
  readonly format: KvFormat;
  readonly tokenizer: Tokenizer;
  /** Most tokens of a sequence in a format. */
  readonly mostTokens: (format: KvFormat) => number;
  readonly nanPeriod: number;
}

/** Generates an answer straight from the tokens: no pages, no steps, no engine. At most one stop string. */
export function expectedAnswer(request: EngineRequest, model: HashModel): ExpectedAnswer {
  const { tokenizer, nanPeriod } = model;
  const { promptTokens, maxTokens = Infinity, format = model.format } = request;
  const mostTokens = model.mostTokens(format);
  const chain = new TokenChain(format);
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
  // Letter by letter: every token of these vocabularies is whole characters.
  let text = '';
  while (tokens.length < Math.min(mostTokens, promptTokens.length + maxTokens)) {
    if (Number.isNaN(logits[0])) return answer(undefined);
    const token = sampleToken(logits, tokens, tokens.length, request.sampling, promptTokens.length);
    tokens.push(token);
    if (request.stop.length > 0) text += tokenizer.decode([token]);
    if (tokenizer.endIds.has(token) || hasStop(text, request.stop)) return answer('stop');
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
