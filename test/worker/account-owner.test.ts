import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { createOwner } from "#domain/setup/create-owner";
import { contextFor, countOf, rowOf } from "#test/worker/harness";
import { letterToken, newEmail, PASSWORD, post } from "#test/worker/visitor";

const setUp = (email: string) => createOwner(contextFor(systemActor("setup")), { email, teamName: "Home" });

test("of set-ups for different people at the same time one makes the owner, and a waiting sign-up gives way", async () => {
  const emails = [newEmail(), newEmail(), newEmail()];
  for (const email of emails) await post("/v1/auth/signup", { email, password: PASSWORD, name: "Ada" });
  const made = await Promise.allSettled(emails.map(setUp));
  expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const one of made) if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "conflict" });
  expect(await countOf("users", "is_platform_admin")).toBe(1);
  expect(await countOf("users", "status = 'active'")).toBe(1);
  const email = emails[made.findIndex(({ status }) => status === "fulfilled")] ?? "";
  expect(await countOf("users", "email = ?", email)).toBe(1);
  expect(await rowOf("users", email, "email")).toMatchObject({ name: email.split("@")[0] });
});

test("the owner gets a password by a reset, and whoever comes later is no administrator (R35)", async () => {
  const { email } = (await env.DB.prepare("SELECT email FROM users WHERE is_platform_admin").first<{
    email: string;
  }>()) ?? { email: "" };
  await post("/v1/me/password/reset", { email });
  const token = await letterToken(email, "password_reset");
  expect((await post("/v1/me/password/reset/confirm", { token, new_password: PASSWORD })).status).toBe(204);
  expect((await post("/v1/auth/login", { email, password: PASSWORD })).body).toMatchObject({
    role: "owner",
    is_admin: true,
  });
  const later = newEmail();
  await post("/v1/auth/signup", { email: later, password: PASSWORD, name: "Ada" });
  expect((await post("/v1/auth/activate", { token: await letterToken(later) })).body).toMatchObject({
    is_admin: false,
  });
});

test("accounts that are due to be removed are found without reading all of them", async () => {
  const query =
    "EXPLAIN QUERY PLAN SELECT * FROM users WHERE status = 'deleted' AND deleted_at <= 1 ORDER BY deleted_at";
  const { results } = await env.DB.prepare(query).all<{ detail: string }>();
  expect(results.map(({ detail }) => detail).join()).toContain("USING INDEX users_deleted");
});
