import { builtinShell } from "#domain/model/builtin-shell";
import { canonicalRef, type ModelConfig, type Models, modelName, parseModels, SHELL_REF } from "#domain/model/config";
import { type Model, type ModelCatalog, ModelError, type ModelInfo } from "#domain/model/ports";
import { Fault } from "#kernel/fault";
import { aiSdkModel } from "#platform/models/ai-sdk";
import { languageModel, redact } from "#platform/models/providers";

/** What a catalog reads: the MODELS setting, the Workers AI binding, and the secrets that models name. */
export type ModelEnv = { readonly MODELS?: string; readonly AI?: unknown };

const known = new WeakMap<object, { text: string; catalog: ModelCatalog }>();

/**
 * The models of an environment. A MODELS setting that is not valid does not stop the server: every model but
 * `builtin/shell` then fails when it is called, with the reason.
 */
export function catalog(env: ModelEnv): ModelCatalog {
  const text = env.MODELS ?? "";
  const found = known.get(env);
  if (found?.text === text) return found.catalog;
  const made = buildCatalog(text, env);
  known.set(env, { text, catalog: made });
  return made;
}

function buildCatalog(text: string, env: ModelEnv): ModelCatalog {
  try {
    return catalogOf(parseModels(text), env);
  } catch (error) {
    return brokenCatalog(error instanceof Error ? error.message : String(error));
  }
}

function catalogOf({ models, defaultRef }: Models, env: ModelEnv): ModelCatalog {
  const built = new Map<string, Model>();
  const build = (ref: string, config: ModelConfig): Model => {
    const model = built.get(ref) ?? configuredModel(ref, config, env);
    built.set(ref, model);
    return model;
  };
  return {
    list: () => [
      ...[...models].map(([name, config]) => info(build(canonicalRef(name), config), defaultRef, config.url)),
      info(builtinShell, defaultRef),
    ],
    get(wanted) {
      const ref = wanted === null ? defaultRef : canonicalRef(wanted);
      if (ref === SHELL_REF) return builtinShell;
      const config = models.get(modelName(ref));
      if (!config) throw new Fault("model_not_found", `there is no model ${wanted}`, { modelRef: wanted });
      return build(ref, config);
    },
  };
}

const configuredModel = (ref: string, config: ModelConfig, env: ModelEnv): Model =>
  aiSdkModel(
    {
      ref,
      provider: config.provider,
      modelName: config.model,
      contextWindowTokens: config.contextWindow ?? null,
    },
    once(() => languageModel(ref, config, env)),
    (text) => redact(text, config, env),
  );

/** Makes a value when it is first asked for; a failure is not remembered. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

function info({ ref, provider, modelName, contextWindowTokens }: Model, defaultRef: string, url?: string): ModelInfo {
  return { ref, provider, modelName, contextWindowTokens, ...(url && { url }), isDefault: ref === defaultRef };
}

/** A catalog whose configuration cannot be read: it must not pretend that the embedded default was asked for. */
function brokenCatalog(problem: string): ModelCatalog {
  const broken = (ref: string): Model => ({
    ref,
    provider: "unknown",
    modelName: ref,
    contextWindowTokens: null,
    // biome-ignore lint/correctness/useYield: it fails before there is anything to stream
    async *stream() {
      throw new ModelError(problem, null);
    },
  });
  return {
    list: () => [info(builtinShell, "")],
    get: (ref) => (ref === SHELL_REF ? builtinShell : broken(ref === null ? "platform/default" : canonicalRef(ref))),
  };
}
