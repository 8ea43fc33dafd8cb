import type { MessagePage } from "#domain/session/ports";
import type { Message, Run, RunStep } from "#domain/session/values";
import { ok, type Result, refuse } from "#kernel/fault";
import { cutOffsetPage, type OffsetPage, type Page } from "#kernel/page";
import type { Records } from "#objects/session/recorder";

/** What callers may read of a session, as it is shown to them. */
export class Reads {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  message(id: string): Result<Message> {
    const message = this.#records.messages.get(id);
    if (!message) return refuse("message_not_found", "message not found", { messageId: id });
    return ok(this.#records.prompts.shown(message));
  }

  messages(page: MessagePage): { items: Message[]; more: boolean } {
    const { messages, prompts } = this.#records;
    const { items, more } = messages.page(page);
    return { items: items.map((item) => prompts.shown(item)), more };
  }

  run(id: string): Result<Run> {
    const run = this.#records.store.run(id);
    return run ? ok(run) : refuse("run_not_found", "run not found", { runId: id });
  }

  steps(runId: string, page: OffsetPage): Result<Page<RunStep>> {
    const run = this.run(runId);
    return run.ok ? ok(cutOffsetPage(this.#records.steps.list(runId, page), page)) : run;
  }
}
