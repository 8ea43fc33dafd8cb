import { z } from "zod";
import { openSessionFeed } from "#domain/session/open-session-feed";
import { guardedStream } from "#http/guarded-stream";
import { operation, RawAnswer } from "#http/operation";
import { streamSession } from "#http/session-stream";
import { resumePoint } from "#http/sse";
import { Id } from "#surfaces/runtime/values";

export const eventOperations = [
  operation({
    id: "streamSessionEvents",
    method: "get",
    path: "/api/v1/sessions/{sessionId}/events",
    tag: "Events",
    summary: "Follow the events of a session",
    description:
      "Server-sent events. `id` counts the session's events from 0; `cursor` or the `Last-Event-ID` header, which wins, " +
      "resume after an event. Without them the whole log is replayed first. The stream stays open after a run's end.",
    permission: "session:read",
    params: z.object({ sessionId: Id }),
    query: z.object({ runId: z.string().optional(), cursor: z.string().optional() }),
    returns: { status: 200, schema: RawAnswer, media: "text/event-stream" },
    faults: ["session_not_found"],
    run: async (ctx, { params, query, raw }) => {
      const runId = query.runId ?? null;
      const open = (after: number) => openSessionFeed(ctx, params.sessionId, { after, runId });
      const from = resumePoint(raw.header("last-event-id"), query.cursor);
      return guardedStream(ctx, "session:read", () => streamSession(open, from));
    },
  }),
];
