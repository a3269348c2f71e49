// A program on the AI SDK: asks every argument once for a whole answer and once for a stream, with a
// tool at hand. MODULES is where the packages are; GATEWAY_URL, GATEWAY_KEY, MODEL and API say whom
// to ask.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const { MODULES, GATEWAY_URL, GATEWAY_KEY: apiKey, MODEL, API } = process.env;
const require = createRequire(`${MODULES}/`);
const { generateText, stepCountIs, streamText, tool } = require("ai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = require("@ai-sdk/google");
const { createOpenAI } = require("@ai-sdk/openai");
const { z } = require("zod");

const model = {
  chat: () => createOpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey }).chat(MODEL),
  responses: () => createOpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey }).responses(MODEL),
  messages: () => createAnthropic({ baseURL: `${GATEWAY_URL}/v1`, apiKey })(MODEL),
  gemini: () => createGoogleGenerativeAI({ baseURL: `${GATEWAY_URL}/v1beta`, apiKey })(MODEL),
}[API]();

const ask = {
  model,
  maxRetries: 0,
  stopWhen: stepCountIs(3),
  tools: {
    read_note: tool({
      description: "Read a note",
      inputSchema: z.object({ name: z.string() }),
      execute: ({ name }) => readFile(name, "utf8"),
    }),
  },
};
const told = (text, usage) => ({ text, inputTokens: usage.inputTokens });

const answers = [];
for (const prompt of process.argv.slice(2)) {
  const whole = await generateText({ ...ask, prompt });
  const stream = streamText({ ...ask, prompt, onError: ({ error }) => { throw error; } });
  let streamed = "";
  for await (const { type, text } of stream.fullStream) if (type === "text-delta") streamed += text;
  answers.push(told(whole.text, whole.usage), told(streamed, await stream.usage));
}
console.log(JSON.stringify(answers));
