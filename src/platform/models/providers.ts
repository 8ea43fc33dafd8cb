import type { LanguageModel } from "ai";
import type { ModelConfig } from "#domain/model/config";
import { ModelError } from "#domain/model/ports";
import type { ModelEnv } from "#platform/models/catalog";

/**
 * The AI SDK model of a configured one. Provider packages are loaded when they are first used, which keeps them out
 * of a cold start. Throws `ModelError` when the key or binding it needs is missing.
 */
export async function languageModel(ref: string, config: ModelConfig, env: ModelEnv): Promise<LanguageModel> {
  const apiKey = secret(ref, config, env);
  const common = {
    ...(apiKey !== undefined && { apiKey }),
    ...(config.url !== undefined && { baseURL: config.url }),
    ...(config.headers && { headers: config.headers }),
  };
  switch (config.provider) {
    case "openai": {
      const { createOpenAI } = await import("@ai-sdk/openai");
      return createOpenAI(common)(config.model);
    }
    case "openai-compatible": {
      const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
      const options = { name: "openai-compatible", baseURL: config.url ?? "", includeUsage: true };
      return createOpenAICompatible({ ...options, ...common })(config.model);
    }
    case "anthropic": {
      const { createAnthropic } = await import("@ai-sdk/anthropic");
      return createAnthropic(common)(config.model);
    }
    case "workers-ai":
      return workersAi(ref, config, env);
  }
}

async function workersAi(ref: string, config: ModelConfig, { AI: binding }: ModelEnv): Promise<LanguageModel> {
  if (!binding) {
    throw new ModelError(
      `model ${ref} needs the Workers AI binding "AI", which exists on a Cloudflare deployment only`,
      null,
    );
  }
  const { createWorkersAI } = await import("workers-ai-provider");
  const options = { binding } as unknown as Parameters<typeof createWorkersAI>[0];
  return createWorkersAI(options)(config.model) as LanguageModel;
}

function secret(ref: string, config: ModelConfig, env: ModelEnv): string | undefined {
  if (config.key === undefined) return undefined;
  const value = keyOf(config, env);
  if (value !== undefined) return value;
  throw new ModelError(`model ${ref} needs the secret ${config.key}, which is not set`, null);
}

function keyOf({ key }: ModelConfig, env: ModelEnv): string | undefined {
  const value = key === undefined ? undefined : (env as Record<string, unknown>)[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A header shorter than this is no secret, and its value may be any word of a message. */
const LEAST_SECRET_CHARS = 8;

/** Text without the model's key and its headers' values: some providers quote them when they refuse them. */
export function redact(text: string, config: ModelConfig, env: ModelEnv): string {
  const key = keyOf(config, env);
  const values = Object.values(config.headers ?? {}).filter((value) => value.length >= LEAST_SECRET_CHARS);
  return [...(key === undefined ? [] : [key]), ...values].reduce(
    (left, secret) => left.replaceAll(secret, "[key]"),
    text,
  );
}
