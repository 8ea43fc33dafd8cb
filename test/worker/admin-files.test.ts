import { expect, test } from "vitest";
import { bytes, runningCapsule } from "#test/worker/capsule";
import { auditOf, newSandbox } from "#test/worker/control";
import { FORM_TYPE, formOf } from "#test/worker/forms";
import { rowOf, tenant } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

const form = { "content-type": FORM_TYPE };
const OPERATIONS = ["write", "read", "list", "mkdir", "remove"];

const send = ({ call }: Person, capsule: string, operation: string, body: unknown, headers?: Record<string, string>) =>
  call("POST", `/v1/admin/capsules/${capsule}/files/${operation}`, body, headers);

/** What the audit log has about a capsule beside that it was started. */
const usesOf = async (id: string) => (await auditOf(id)).filter((action) => action !== "sandbox.started");

test("an administrator's file operations do what their twins do, on any team's capsule, and its team can read of it (R409, R410)", async () => {
  const { id, inside, t } = await runningCapsule();
  const admin = await person({ platformAdmin: true });
  const content = formOf(["path", "d/f"], ["file", bytes("hello")]);
  expect((await send(admin, id, "write", content, form)).status).toBe(204);
  expect(await send(admin, id, "read", { path: "d/f" })).toMatchObject({ status: 200, text: "hello" });
  const made = await send(admin, id, "mkdir", { path: "e" });
  expect(made).toMatchObject({ status: 200, body: { entry: { path: "/workspace/e" } } });
  const { body } = await send(admin, id, "list", { path: "/workspace" });
  expect(body.entries.map(({ name }: { name: string }) => name)).toEqual(["e"]);
  expect((await send(admin, id, "remove", { path: "d/f" })).status).toBe(204);
  expect([...inside.files.keys()]).toEqual([]);
  expect(await usesOf(id)).toEqual([
    ...["sandbox.file_written", "sandbox.file_read", "sandbox.directory_created"],
    ...["sandbox.directory_listed", "sandbox.path_removed"],
  ]);
  expect(await rowOf("audit_entries", "sandbox.file_written", "action")).toMatchObject({
    team_id: t.teamId,
    actor_id: admin.userId,
  });
});

test("they are refused like their twins: 404 unknown, 409 not running, 413, 400 (R244, R258, R402, R409)", async () => {
  const { id, agent } = await runningCapsule();
  const admin = await person({ platformAdmin: true });
  const still = await newSandbox((await tenant()).teamId);
  for (const operation of OPERATIONS) {
    const [body, headers] = operation === "write" ? [formOf(["path", "x"], ["file", "y"]), form] : [{ path: "x" }];
    expect((await send(admin, "sb_00000000000000000000", operation, body, headers)).status, operation).toBe(404);
    expect((await send(admin, still, operation, body, headers)).status, operation).toBe(409);
  }
  expect(agent.running.has(still)).toBe(false);
  const large = { ...form, "content-length": String(200 * 1024 * 1024) };
  expect((await send(admin, id, "write", formOf(["path", "x"], ["file", "y"]), large)).status).toBe(413);
  expect((await send(admin, id, "write", formOf(["path", "x"]), form)).status).toBe(400);
  expect((await send(admin, id, "list", {})).status).toBe(400);
});

test("nobody else uses them, and a key never does (R390, R391)", async () => {
  const { id, t, inside } = await runningCapsule();
  const owner = await person({ teamId: t.teamId });
  for (const operation of OPERATIONS) {
    expect((await send(owner, id, operation, { path: "x" })).status, operation).toBe(403);
    const byKey = await t.call("POST", `/v1/admin/capsules/${id}/files/${operation}`, { path: "x" });
    expect(byKey.status, operation).toBe(401);
  }
  expect(inside.asked).toEqual([]);
  expect(await usesOf(id)).toEqual([]);
});
