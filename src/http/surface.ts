import type { z } from "zod";
import type { Actor, Ctx } from "#domain/context";
import type { AuthRequest } from "#http/authenticate";
import type { CredentialKind } from "#http/credentials";
import type { Operation } from "#http/operation";
import type { FaultCode, FaultDetails } from "#kernel/fault";

export type FaultAnswer = { status: number; body: unknown };

/** One contract: its operations, and the dialect its failures are told in. */
export type Surface = {
  name: string;
  title: string;
  description: string;
  operations: readonly Operation[];
  /** Shape of a failure's body. */
  faultBody: z.ZodType;
  fault(code: FaultCode, message: string, details?: FaultDetails): FaultAnswer;
  /** The kinds of credential that its operations take unless they say otherwise. */
  credentials: readonly CredentialKind[];
  /** Replaces the usual authentication; throws a `Fault` when the caller is not who the surface is for. */
  authenticate?: (base: BaseCtx, auth: AuthRequest) => Promise<Actor>;
};

/** A context before it is known who asks. */
export type BaseCtx = Omit<Ctx, "actor">;

export type AuthSettings = {
  anonymous: boolean;
  setupToken: string | undefined;
  /** Origins of web apps that may use sessions, beside the deployment's own. */
  origins: readonly string[];
  /** Header in which a trusted reverse proxy writes the caller's address. */
  proxyHeader?: string | undefined;
};
