import { unsupported } from './api-error.ts';

/** What OpenAI's API has and this server does not: the field, and why. */
type Reasons = Readonly<Record<string, string>>;

export const NO_TOOLS = 'this server calls no tools';

export const UNSUPPORTED_IN_CHAT: Reasons = {
  tools: NO_TOOLS,
  tool_choice: NO_TOOLS,
  functions: NO_TOOLS,
  function_call: NO_TOOLS,
  audio: 'this server makes text only',
  modalities: 'this server makes text only',
  prediction: 'this server guesses tokens by itself',
  reasoning_effort: 'the models of this server have no such setting',
  verbosity: 'the models of this server have no such setting',
  web_search_options: 'this server does not search',
  moderation: 'this server does not moderate',
};

export const UNSUPPORTED_IN_COMPLETIONS: Reasons = {
  suffix: 'the models of this server only go on with a text',
  best_of: 'ask for n answers and choose among them',
  prompt_embeds: 'this server takes texts and token ids',
};

const NO_STATE = 'this server keeps no answers: send the whole conversation as input';

export const UNSUPPORTED_IN_RESPONSES: Reasons = {
  tools: NO_TOOLS,
  tool_choice: NO_TOOLS,
  max_tool_calls: NO_TOOLS,
  previous_response_id: NO_STATE,
  conversation: NO_STATE,
  background: NO_STATE,
  include: 'this server has nothing more to tell of an answer',
  prompt: 'this server keeps no prompts: send instructions and input',
  reasoning: 'the models of this server have no such setting',
  top_logprobs: 'ask for logprobs with /v1/chat/completions',
};

/**
 * Refuses fields that are asked for and not there. One whose value asks for nothing (`tools: []`) is dropped.
 *
 * @param body of a request, before its schema
 * @throws ApiError unsupported_parameter
 */
export function refuseUnsupportedFields(body: unknown, reasons: Reasons): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return;
  const fields = body as Record<string, unknown>;
  for (const [name, reason] of Object.entries(reasons)) {
    if (!Object.hasOwn(fields, name)) continue;
    if (!asksForNothing(name, fields[name])) throw unsupported(name, `'${name}' is not supported: ${reason}`);
    Reflect.deleteProperty(fields, name);
  }
}

function asksForNothing(name: string, value: unknown): boolean {
  if (value === null || value === undefined || value === false) return true;
  if (Array.isArray(value) && value.length === 0) return true;
  const tools = name === 'tool_choice' || name === 'function_call';
  if (tools && (value === 'none' || value === 'auto')) return true;
  if (name === 'reasoning_effort') return value === 'none';
  // OpenAI's default.
  if (name === 'verbosity') return value === 'medium';
  if (name === 'modalities') return Array.isArray(value) && value.length === 1 && value[0] === 'text';
  return name === 'best_of' && value === 1;
}
