import type { SandboxRoute, SandboxSpec } from "#domain/sandbox/ports";
import type { SandboxState } from "#domain/sandbox/state";
import { signControlToken } from "#platform/sandbox/control-token";

/** The route to a running sandbox, signed once for everyone who asks within half its token's life. */
export class SignedRoute {
  readonly #env: Pick<Env, "SIGNING_KEY">;
  #route: Promise<SandboxRoute> | undefined;
  #freshUntil = 0;

  constructor(env: Pick<Env, "SIGNING_KEY">) {
    this.#env = env;
  }

  /** To be called whenever the state has changed. */
  forget(): void {
    this.#route = undefined;
  }

  current({ state, spec }: { state: SandboxState; spec: SandboxSpec | undefined }): Promise<SandboxRoute> {
    const now = Date.now();
    if (this.#route && now < this.#freshUntil) return this.#route;
    const subject = { hostId: state.hostId ?? "", sandboxId: spec?.id ?? "", generation: state.generation };
    const route = signControlToken(this.#env, subject, "use").then(({ token, expiresAt }) => {
      this.#freshUntil = now + (expiresAt - now) / 2;
      const timed = (spec?.timeoutSec ?? 0) > 0;
      return { address: state.address ?? "", token, expiresAt, generation: state.generation, timed };
    });
    route.catch(() => {
      if (this.#route === route) this.#route = undefined;
    });
    this.#freshUntil = Number.POSITIVE_INFINITY;
    this.#route = route;
    return route;
  }
}
