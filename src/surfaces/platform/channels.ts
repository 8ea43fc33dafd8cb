import { z } from "zod";
import { createChannel } from "#domain/channel/create-channel";
import { deleteChannel } from "#domain/channel/delete-channel";
import { getChannel } from "#domain/channel/get-channel";
import { listChannels } from "#domain/channel/list-channels";
import { rotateChannelConfig } from "#domain/channel/rotate-channel-config";
import { testChannel } from "#domain/channel/test-channel";
import { updateChannel } from "#domain/channel/update-channel";
import { type Channel, PROVIDERS } from "#domain/channel/values";
import { Empty, operation } from "#http/operation";
import type { RateLimit } from "#http/rate-limit";
import { iso, MINUTE } from "#kernel/time";
import { STORED_EVENTS } from "#protocol/team-feed";

const ChannelResource = z
  .object({
    id: z.string(),
    team_id: z.string(),
    name: z.string(),
    provider: z.enum(PROVIDERS),
    events: z.array(z.string()),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    secret: z.string().nullable().optional().describe("The secret of a webhook that brought none; shown once."),
  })
  .meta({ id: "ChannelResponse" });

const Provider = z.enum(PROVIDERS);
const Name = z.string().max(200);
const Config = z
  .record(z.string().max(100), z.string().max(10_000))
  .describe(
    "Discord, Slack, Teams, Google Chat: webhook_url. Telegram: bot_token, chat_id. Matrix: homeserver_url, access_token, room_id. Webhook: url, secret (made when absent).",
  );
const Events = z.array(z.enum(STORED_EVENTS)).min(1).max(100);

const CreateChannelBody = z
  .object({ name: Name, provider: Provider, config: Config, events: Events })
  .meta({ id: "CreateChannelRequest" });
const TestChannelBody = z.object({ provider: Provider, config: Config }).meta({ id: "TestChannelRequest" });
const UpdateChannelBody = z.object({ name: Name, events: Events }).meta({ id: "UpdateChannelRequest" });
const RotateConfigBody = z.object({ config: Config }).meta({ id: "RotateConfigRequest" });

/** Ids are not checked for their shape: an unknown channel is 404, or 204 when it is deleted (platform A26). */
const ChannelParams = z.object({ id: z.string().max(100) });

/** Each test makes a request to an address of the caller's. */
const TEST_LIMIT: RateLimit = {
  name: "channel-test",
  perAddress: { quota: 60, windowMs: MINUTE },
  perSubject: { quota: 10, windowMs: MINUTE },
};

const toChannel = (channel: Channel & { secret?: string | null }): z.input<typeof ChannelResource> => ({
  id: channel.id,
  team_id: channel.teamId,
  name: channel.name,
  provider: channel.provider,
  events: channel.events,
  created_at: iso(channel.createdAt),
  updated_at: iso(channel.updatedAt),
  ...(channel.secret && { secret: channel.secret }),
});

export const channelOperations = [
  operation({
    id: "createChannel",
    method: "post",
    path: "/v1/channels",
    tag: "channels",
    summary: "Create a notification channel",
    permission: "channel:write",
    audits: "channel.created",
    body: CreateChannelBody,
    creates: true,
    showsSecret: true,
    returns: { status: 201, schema: ChannelResource },
    faults: ["invalid", "conflict"],
    run: async (ctx, { body }) => toChannel(await createChannel(ctx, body)),
  }),
  operation({
    id: "listChannels",
    method: "get",
    path: "/v1/channels",
    tag: "channels",
    summary: "List the notification channels of the active team",
    permission: "channel:read",
    returns: { status: 200, schema: z.array(ChannelResource) },
    faults: [],
    run: async (ctx) => (await listChannels(ctx)).map(toChannel),
  }),
  operation({
    id: "testChannel",
    method: "post",
    path: "/v1/channels/test",
    tag: "channels",
    summary: "Send a test notification and store nothing",
    permission: "channel:write",
    audits: "channel.tested",
    limit: TEST_LIMIT,
    limitSubject: ({ actor }) => `user ${actor.id}`,
    body: TestChannelBody,
    returns: { status: 200, schema: z.object({ status: z.string() }) },
    faults: ["invalid", "delivery_failed"],
    run: async (ctx, { body }) => {
      await testChannel(ctx, body.provider, body.config);
      return { status: "ok" };
    },
  }),
  operation({
    id: "getChannel",
    method: "get",
    path: "/v1/channels/{id}",
    tag: "channels",
    summary: "Get a notification channel",
    permission: "channel:read",
    params: ChannelParams,
    returns: { status: 200, schema: ChannelResource },
    faults: ["channel_not_found"],
    run: async (ctx, { params }) => toChannel(await getChannel(ctx, params.id)),
  }),
  operation({
    id: "updateChannel",
    method: "patch",
    path: "/v1/channels/{id}",
    tag: "channels",
    summary: "Change a channel's name and events",
    permission: "channel:write",
    audits: "channel.updated",
    params: ChannelParams,
    body: UpdateChannelBody,
    returns: { status: 200, schema: ChannelResource },
    faults: ["invalid", "channel_not_found", "conflict"],
    run: async (ctx, { params, body }) => toChannel(await updateChannel(ctx, params.id, body)),
  }),
  operation({
    id: "deleteChannel",
    method: "delete",
    path: "/v1/channels/{id}",
    tag: "channels",
    summary: "Delete a notification channel",
    permission: "channel:write",
    audits: "channel.deleted",
    params: ChannelParams,
    returns: { status: 204, schema: Empty },
    faults: [],
    run: async (ctx, { params }) => {
      await deleteChannel(ctx, params.id);
      return undefined;
    },
  }),
  operation({
    id: "rotateChannelConfig",
    method: "put",
    path: "/v1/channels/{id}/config",
    tag: "channels",
    summary: "Replace a channel's whole config",
    description: "A webhook that is given no secret gets a new one, which this answer shows once.",
    permission: "channel:write",
    audits: "channel.config_rotated",
    params: ChannelParams,
    body: RotateConfigBody,
    returns: { status: 200, schema: ChannelResource },
    faults: ["invalid", "channel_not_found"],
    run: async (ctx, { params, body }) => toChannel(await rotateChannelConfig(ctx, params.id, body.config)),
  }),
];
