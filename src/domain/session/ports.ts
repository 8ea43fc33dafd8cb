import type { BusyBehavior, Message, MessageContent, QueueItem, Run, RunStep, Session } from "#domain/session/values";
import type { Result } from "#kernel/fault";
import type { JsonObject } from "#kernel/json";
import type { OffsetPage, Page } from "#kernel/page";

export type SendInput = {
  teamId: string;
  /** Who sends, as the contract's `subjectRef`. */
  subject: string;
  content: MessageContent;
  metadata: JsonObject | null;
  whenBusy: BusyBehavior;
  /** Stored with the message in one transaction, so a repeat is recognised whatever crashed in between. */
  idempotency: { key: string; fingerprint: string } | null;
};

export type SendReceipt = {
  messageId: string;
  runId: string;
  delivery: "active_run" | "session_queue";
  queuedPosition: number | null;
  createdAt: number;
};

export type MessagePage = {
  limit: number;
  direction: "forward" | "backward";
  /** Last message the caller has seen, or null for the first page. */
  after: { createdAt: number; id: string } | null;
};

/**
 * One session's object. Every call names the caller's team; an object that does not know its session, or knows it as
 * another team's, refuses with `session_not_found`.
 */
export interface SessionHandle {
  /** Gives the object its session. Safe to repeat; a session is never changed by it. */
  adopt(session: Session): Promise<void>;
  get(teamId: string): Promise<Result<Session>>;
  /** Stores message, run and queue place in one transaction and starts the run when nothing is before it. */
  send(input: SendInput): Promise<Result<SendReceipt>>;
  listMessages(teamId: string, page: MessagePage): Promise<Result<{ items: Message[]; more: boolean }>>;
  getMessage(teamId: string, messageId: string): Promise<Result<Message>>;
  queue(teamId: string): Promise<Result<QueueItem[]>>;
  getRun(teamId: string, runId: string): Promise<Result<Run>>;
  listSteps(teamId: string, runId: string, page: OffsetPage): Promise<Result<Page<RunStep>>>;
  /** Asks for cancellation. A queued run never starts, a running one is aborted; a finished one is left as it is. */
  cancel(teamId: string, runId: string): Promise<Result<null>>;
  /** Moves a queued run to the head and interrupts the active one. Repeating it after the run left the queue does nothing. */
  guide(teamId: string, runId: string): Promise<Result<null>>;
  /** Stops everything and forgets the session. Safe to repeat. */
  destroy(teamId: string): Promise<Result<null>>;
  /** Wakes the object so that it looks after runs that should have moved on; false when it knows of no session. */
  nudge(): Promise<boolean>;
  /** Opens the event feed of `protocol/session-feed` as a WebSocket; answers 404 for a session the team has not. */
  openFeed(query: { teamId: string; after: number; runId: string | null }): Promise<Response>;
}

export type SessionPort = { session(id: string): SessionHandle };
