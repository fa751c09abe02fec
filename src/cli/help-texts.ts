/** Texts of the help that stand beside the flags. */

export const DESCRIPTION = `Language models on a quantized KV cache.

With a prompt, answers it; without one, on a terminal, chats. Answers go to stdout, everything else to stderr.`;

export const ROOT_EXAMPLES = `
Examples:
  kvant                                       chat with the embedded model
  kvant "Why is the sky blue?"                answer once
  kvant --file book.txt "Who is the hero?"    put a document before the prompt
  kvant --session talk.kvp "And why?"         go on with a conversation, or begin one
  echo "Why is the sky blue?" | kvant --json  read the prompt from stdin, print one JSON object
  kvant --kv k8v4 --model other.gguf chat     chat with another model, K at 8 bits and V at 4
  kvant serve                                 OpenAI's API and a page, on http://127.0.0.1:8080

An option with (env: NAME) can also be set by that environment variable.`;

export const GENERATE_EXAMPLES = `
Examples:
  kvant generate "Why is the sky blue?" --max-tokens 100
  kvant generate --temperature 0.8 --top-p 0.95 --seed 7 "Tell me a story."
  kvant generate --session book.kvp --file book.txt "Who is the hero?"
  kvant generate --raw "Once upon a time" --stop "The end"
  kvant generate --tokens prompt.u16 --logits out.f32 --logits-at 1024:2048:8 --max-tokens 0`;

export const CHAT_EXAMPLES = `
In the chat, /help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves. Where stdin is no terminal, each line of
it is a message.

Examples:
  kvant chat --system "Answer in one sentence."
  kvant chat --session talk.kvp
  kvant chat --ctx 4096 --kv q8 --temperature 0.7
  kvant chat < questions.txt`;

export const BENCH_EXAMPLES = `
Examples:
  kvant bench
  kvant bench decode --kv f16,q4,k8v4 --ctx 512,8000 --runs 3
  kvant bench --model model.gguf --threads 1 --json > bench.json
  kvant bench --kv q4 --against node-llama-cpp --peer-kv F16,Q4_0
  kvant bench users --users 1,16 --shared 2048`;

export const PLAN_EXAMPLES = `
Examples:
  kvant plan
  kvant plan --model model.gguf --ctx 100000 --memory 2GB
  kvant plan --users 8 --ctx 4096 --kv q8,q4 --json
  kvant --kv auto --memory 2GB "Why is the sky blue?"   load by the same sums`;
