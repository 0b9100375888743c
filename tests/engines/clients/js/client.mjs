// node client.mjs URL MODEL: asks the gateway by three clients; one line of JSON for each step, its result or its error.
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';

const [url, model] = process.argv.slice(2);
const messages = [{ role: 'user', content: 'hello' }];
const options = { apiKey: 'any', maxRetries: 0 };
const openai = new OpenAI({ baseURL: `${url}/v1`, ...options });
const anthropic = new Anthropic({ baseURL: url, ...options });
const ollama = new Ollama({ host: url });

const ask = { max_tokens: 8, messages, model };
const few = { num_predict: 8 };

async function joined(stream, text) {
  let said = '';
  for await (const part of stream) said += text(part) || '';
  return said;
}

const byOpenAI = async (model) =>
  joined(await openai.chat.completions.create({ ...ask, model, stream: true }), (part) => part.choices[0]?.delta?.content);
const byAnthropic = (model) =>
  joined(anthropic.messages.stream({ ...ask, model }), (part) => part.type === 'content_block_delta' && part.delta.text);
const byOllama = async (model) =>
  joined(await ollama.chat({ model, messages, stream: true, options: few }), (part) => part.message.content);

const steps = {
  'openai chat': async () => (await openai.chat.completions.create(ask)).choices[0].message.content,
  'openai stream': () => byOpenAI(model),
  'openai broken': () => byOpenAI('broken'),
  'openai error': () => openai.chat.completions.create({ ...ask, model: 'nobody' }),
  'openai models': async () => (await openai.models.list()).data.map((one) => one.id),
  'openai embeddings': async () =>
    (await openai.embeddings.create({ model, input: 'hello', encoding_format: 'float' })).data[0].embedding.length,
  'anthropic chat': async () => (await anthropic.messages.create(ask)).content.map((part) => part.text ?? '').join(''),
  'anthropic stream': () => byAnthropic(model),
  'anthropic broken': () => byAnthropic('broken'),
  'anthropic error': () => anthropic.messages.create({ ...ask, model: 'nobody' }),
  'anthropic count': async () => (await anthropic.messages.countTokens({ model, messages })).input_tokens,
  'ollama chat': async () => (await ollama.chat({ model, messages, options: few })).message.content,
  'ollama stream': () => byOllama(model),
  'ollama broken': () => byOllama('broken'),
  'ollama error': () => ollama.chat({ model: 'nobody', messages }),
  'ollama pull': () => ollama.pull({ model: 'nobody' }),
  'ollama models': async () => (await ollama.list()).models.map((one) => one.name),
  'ollama embeddings': async () => (await ollama.embeddings({ model, prompt: 'hello' })).embedding.length,
};

for (const [step, run] of Object.entries(steps)) {
  let told;
  try {
    told = { result: await run() };
  } catch (error) {
    told = { error: error.message, status: error.status ?? error.status_code ?? null };
  }
  console.log(JSON.stringify({ step, ...told }));
}
