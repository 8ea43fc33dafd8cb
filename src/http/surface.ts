import type { z } from "zod";
import type { Actor, Ctx } from "#domain/context";
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
  /** Replaces the usual authentication; throws a `Fault` when the caller is not who the surface is for. */
  authenticate?: (base: BaseCtx, request: Request, settings: AuthSettings) => Promise<Actor>;
  /** Name and place of the credential that `authenticate` wants, for the document. */
  credential?: { name: string; header: string };
};

/** A context before it is known who asks. */
export type BaseCtx = Omit<Ctx, "actor">;

export type AuthSettings = { anonymous: boolean; setupToken: string | undefined };
