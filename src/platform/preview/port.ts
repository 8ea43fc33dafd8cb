import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { PreviewPort } from "#domain/preview/ports";
import { SECOND } from "#kernel/time";
import { transportTo } from "#platform/sandbox/transport";
import { signerOf } from "#platform/signing";
import { CONTROL_ISSUER } from "#protocol/host-agent";

type PreviewEnv = { SIGNING_KEY?: string; PREVIEW_DOMAIN?: string };

/** No host has this id, so that a link is no token for a host, nor the other way round. */
const AUDIENCE = "preview";

const Payload = z.object({ sub: z.string(), team: z.string(), port: z.int().min(1).max(65_535), exp: z.number() });

/** Links signed by the deployment's key, and requests sent like every other call to a host. */
export const previewPort = (env: PreviewEnv): PreviewPort => ({
  domain: env.PREVIEW_DOMAIN ?? "",

  async sign({ teamId, sandboxId, port }, expiresAt) {
    const { privateKey, kid } = await signerOf(env);
    return new SignJWT({ team: teamId, port })
      .setProtectedHeader({ alg: "EdDSA", kid })
      .setIssuer(CONTROL_ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(sandboxId)
      .setExpirationTime(Math.floor(expiresAt / SECOND))
      .sign(privateKey);
  },

  async read(token) {
    if (!/^[\w.-]{1,2000}$/.test(token)) return undefined;
    const { publicKey } = await signerOf(env);
    try {
      const wanted = { algorithms: ["EdDSA"], issuer: CONTROL_ISSUER, audience: AUDIENCE, requiredClaims: ["exp"] };
      const { sub, team, port, exp } = Payload.parse((await jwtVerify(token, publicKey, wanted)).payload);
      return { sandboxId: sub, teamId: team, port, expiresAt: exp * SECOND };
    } catch {
      return undefined;
    }
  },

  send({ address, token }, sandboxId, port, { method, path, headers, body }) {
    const onward = new Headers(headers);
    onward.set("authorization", `Bearer ${token}`);
    const send = transportTo(address, `/v1/sandboxes/${sandboxId}/ports/${port}${path}`);
    return send({ method, headers: onward, body, redirect: "manual" });
  },
});
