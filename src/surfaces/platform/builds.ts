import { z } from "zod";
import { cancelBuild } from "#domain/build/cancel-build";
import { createBuild } from "#domain/build/create-build";
import { type BuildView, getBuild, listBuilds } from "#domain/build/get-build";
import { openBuildLog } from "#domain/build/open-log";
import { planOf } from "#domain/build/plan";
import type { Ctx } from "#domain/context";
import { type FeedSource, streamFeed } from "#http/feed-stream";
import { guardedStream } from "#http/guarded-stream";
import { Empty, operation, RawAnswer } from "#http/operation";
import { sseFrame } from "#http/sse";
import { SECOND } from "#kernel/time";
import { type FeedEvent, FeedEvent as FeedEventSchema, feedFrame } from "#protocol/feed";
import { BUILD_FORM, receiveBuild } from "#surfaces/platform/build-form";
import { Build, BuildLogEvent, CreateBuildBody, fromBuildBody, toBuild } from "#surfaces/platform/build-shapes";

const permission = "platform:admin";
const about = { tag: "admin", permission, params: z.object({ id: z.string().max(100) }) } as const;
const DENIED = ["unauthenticated", "forbidden"] as const;

/** The log of a build as a stream; the id of an event is its number. */
const logOf = (ctx: Ctx, id: string): FeedSource<FeedEvent> => ({
  open: (cursor) => openBuildLog(ctx, id, /^\d{1,15}$/.test(cursor ?? "") ? Number(cursor) : -1),
  frames: feedFrame(FeedEventSchema),
  cursorOf: (seq) => String(seq),
  show: (events, cursorOf) =>
    events.map(({ seq, type, data }) => sseFrame({ id: cursorOf(seq ?? 0), event: type, data })).join(""),
  signOfLife: { comment: "keepalive", everyMs: 15 * SECOND },
  gone: { code: "conflict", comment: "the build is over" },
});

/** Builds of the platform's templates. */
export const buildOperations = [
  operation({
    id: "adminCreateBuild",
    method: "post",
    path: "/v1/admin/builds",
    tag: "admin",
    summary: "Queue the build of a template",
    description:
      "Runs the lines of a recipe in a sandbox and takes its files as a template that every team may use: `RUN " +
      "[--timeout=30s] command`, `START command`, `ENV NAME=value`, `WORKDIR path`, `USER name`, `COPY source target` from the archive of a form. A build with a health " +
      "check ends once that succeeds, and its template is of the type `snapshot`.",
    permission,
    audits: "build.created",
    creates: true,
    body: CreateBuildBody,
    form: BUILD_FORM,
    receives: receiveBuild,
    returns: { status: 202, schema: Build },
    faults: [...DENIED, "invalid", "too_large", "template_not_found", "template_name_taken"],
    run: async (ctx, { body, raw }) => {
      const archive = typeof raw.received === "string" ? raw.received : undefined;
      const build = await createBuild(ctx, { ...fromBuildBody(body), archive }).catch(async (error) => {
        if (archive !== undefined) await ctx.archives.delete(archive);
        throw error;
      });
      const view: BuildView = {
        ...build,
        ...{ sandboxId: null, currentStep: 0, totalSteps: planOf(build.spec).length, log: [], hostId: null },
        ...{ env: {}, user: null },
      };
      return toBuild(view);
    },
  }),
  operation({
    id: "adminListBuilds",
    method: "get",
    path: "/v1/admin/builds",
    tag: "admin",
    summary: "List builds",
    description: "The newest 200, newest first. The logs of those that are over are left out.",
    permission,
    returns: { status: 200, schema: z.array(Build) },
    faults: DENIED,
    run: async (ctx) => (await listBuilds(ctx)).map(toBuild),
  }),
  operation({
    ...about,
    id: "adminGetBuild",
    method: "get",
    path: "/v1/admin/builds/{id}",
    summary: "Look at a build and its log",
    description: "Of each stream of a step the last 64 KiB are kept.",
    returns: { status: 200, schema: Build },
    faults: [...DENIED, "build_not_found"],
    run: async (ctx, { params }) => toBuild(await getBuild(ctx, params.id)),
  }),
  operation({
    ...about,
    id: "adminCancelBuild",
    method: "post",
    path: "/v1/admin/builds/{id}/cancel",
    summary: "Cancel a build",
    description: "What it runs is killed and its sandbox is destroyed. A build that is over is refused.",
    audits: "build.cancelled",
    returns: { status: 204, schema: Empty },
    faults: [...DENIED, "build_not_found", "invalid"],
    run: async (ctx, { params }) => void (await cancelBuild(ctx, params.id)),
  }),
  operation({
    ...about,
    id: "adminStreamBuildLog",
    method: "get",
    path: "/v1/admin/builds/{id}/logs",
    summary: "Follow the log of a build",
    description:
      "Server-sent events from the begin of the build, or behind the `Last-Event-ID`: `status`, `step`, `output` with up " +
      "to a mebibyte of each step, and `step_end`. The stream ends with the build; a reader that has seen everything of " +
      "a build that is over is answered 409.",
    returns: { status: 200, schema: RawAnswer, media: "text/event-stream", shows: BuildLogEvent },
    faults: [...DENIED, "build_not_found", "conflict"],
    run: (ctx, { params, raw }) =>
      guardedStream(ctx, permission, () => streamFeed(logOf(ctx, params.id), raw.header("last-event-id"))),
  }),
];
