import { z } from "zod";
import { createApiKey, UNNAMED_KEY } from "#domain/principal/create-api-key";
import { listApiKeys } from "#domain/principal/list-api-keys";
import type { ApiKey } from "#domain/principal/repo";
import { revokeApiKey } from "#domain/principal/revoke-api-key";
import { Empty, operation } from "#http/operation";
import { iso } from "#kernel/time";

const ApiKeyResource = z
  .object({
    id: z.string(),
    team_id: z.string(),
    name: z.string(),
    key_prefix: z.string(),
    created_at: z.iso.datetime(),
    last_used: z.iso.datetime().nullable(),
    key: z.string().optional().describe("The whole key; shown on creation alone."),
  })
  .meta({ id: "APIKeyResponse" });

const CreateApiKeyBody = z
  .object({ name: z.string().max(128).default(UNNAMED_KEY) })
  .meta({ id: "CreateAPIKeyRequest" });

type Shown = Pick<ApiKey, "id" | "teamId" | "name" | "prefix" | "createdAt" | "lastUsedAt">;

const toApiKey = (key: Shown): z.input<typeof ApiKeyResource> => ({
  id: key.id,
  team_id: key.teamId,
  name: key.name,
  key_prefix: key.prefix,
  created_at: iso(key.createdAt),
  last_used: key.lastUsedAt === null ? null : iso(key.lastUsedAt),
});

export const apiKeyOperations = [
  operation({
    id: "createAPIKey",
    method: "post",
    path: "/v1/api-keys",
    tag: "api-keys",
    summary: "Create an API key",
    description: "The key acts for its creator in the active team, with the role the creator has there.",
    permission: "key:write",
    audits: "api_key.created",
    body: CreateApiKeyBody,
    creates: true,
    showsSecret: true,
    returns: { status: 201, schema: ApiKeyResource, description: "The key, which is shown this once" },
    faults: ["unauthenticated", "forbidden"],
    run: async (ctx, { body }) => {
      const { key, ...issued } = await createApiKey(ctx, body);
      return { ...toApiKey({ ...issued, teamId: ctx.actor.teamId, lastUsedAt: null }), key };
    },
  }),
  operation({
    id: "listAPIKeys",
    method: "get",
    path: "/v1/api-keys",
    tag: "api-keys",
    summary: "List the API keys of the active team",
    permission: "key:read",
    returns: { status: 200, schema: z.array(ApiKeyResource) },
    faults: ["unauthenticated", "no_team"],
    run: async (ctx) => (await listApiKeys(ctx)).map(toApiKey),
  }),
  operation({
    id: "deleteAPIKey",
    method: "delete",
    path: "/v1/api-keys/{id}",
    tag: "api-keys",
    summary: "Revoke an API key",
    description: "A key that the active team does not have counts as revoked.",
    permission: "key:write",
    audits: "api_key.revoked",
    params: z.object({ id: z.string().max(100) }),
    returns: { status: 204, schema: Empty },
    faults: ["unauthenticated", "forbidden"],
    run: async (ctx, { params }) => {
      await revokeApiKey(ctx, params.id);
      return undefined;
    },
  }),
];
