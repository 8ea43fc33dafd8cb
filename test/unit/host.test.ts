import { expect, test } from "vitest";
import { type Credentials, invite, isLive, noCredentials, RACE_MS, redeem, rotate } from "#domain/host/credentials";
import { initialLiveness, PUBLISH_EVERY_MS, silentAt, step } from "#domain/host/liveness";
import { chooseHost } from "#domain/host/place-sandbox";
import type { HostLoad } from "#domain/host/repo";
import { agentUrl, newHostToken, readHostToken, UNREACHABLE_AFTER_MS } from "#domain/host/values";

const T0 = 1_000_000;
const beat = { type: "beat", address: null } as const;
const grant = (tokenHash: string) => ({ tokenHash, expiresAt: T0 + 1_000 });
const invited = invite(noCredentials, { tokenHash: "reg", expiresAt: T0 + 10 });
const registered = (): Credentials => redeem(invited, "reg", grant("one"), T0).state;

test.for([
  ["the right token", invited, "reg", T0, true],
  ["a wrong token", invited, "other", T0, false],
  ["an expired token", invited, "reg", T0 + 10, false],
  ["a used token", registered(), "reg", T0, false],
  ["a token after a newer invitation", invite(invited, { tokenHash: "new", expiresAt: T0 + 10 }), "reg", T0, false],
  ["a token nobody was given", noCredentials, "", T0, false],
] as const)("R309 R314 registering with %s", ([, state, hash, now, accepted]) => {
  expect(redeem(state, hash, grant("one"), now).answer.ok).toBe(accepted);
});

test("R317 a refresh token is exchanged once", () => {
  const { state, answer } = rotate(registered(), "one", grant("two"), T0);
  expect(answer).toEqual({ ok: true, value: { family: 1 } });
  expect(rotate(state, "one", grant("three"), T0 + 1).answer.ok).toBe(false);
  expect(rotate(state, "two", grant("three"), T0 + 1).answer.ok).toBe(true);
  expect(rotate(state, "two", grant("three"), T0 + 1_000).answer.ok).toBe(false);
});

test("T5 two simultaneous uses of a refresh token give one pair, and the family lives on", () => {
  const first = rotate(registered(), "one", grant("two"), T0);
  const second = rotate(first.state, "one", grant("three"), T0 + RACE_MS);
  expect(second).toEqual({ state: first.state, answer: expect.objectContaining({ ok: false }) });
  expect(isLive(second.state, 1)).toBe(true);
});

test("T5 a refresh token that comes back later ends its family, JWTs included", () => {
  const first = rotate(registered(), "one", grant("two"), T0);
  const reused = rotate(first.state, "one", grant("three"), T0 + RACE_MS + 1);
  expect(reused.answer).toMatchObject({ ok: false, code: "unauthenticated", details: { reused: true } });
  expect(isLive(reused.state, 1)).toBe(false);
  expect(rotate(reused.state, "two", grant("four"), T0 + RACE_MS + 2).answer.ok).toBe(false);
});

test("registering again ends the tokens of the registration before", () => {
  const again = redeem(invite(registered(), { tokenHash: "reg2", expiresAt: T0 + 10 }), "reg2", grant("x"), T0);
  expect(isLive(again.state, 1)).toBe(false);
  expect(isLive(again.state, 2)).toBe(true);
});

test("R324 a host is unreachable after 90 seconds of silence, and back at the next beat (R323)", () => {
  const online = step(initialLiveness, { type: "registered" }, T0).state;
  expect(silentAt(online)).toBe(T0 + UNREACHABLE_AFTER_MS);
  expect(step(online, { type: "tick" }, T0 + UNREACHABLE_AFTER_MS - 1).state.status).toBe("online");
  const lost = step(online, { type: "tick" }, T0 + UNREACHABLE_AFTER_MS);
  expect(lost.state.status).toBe("unreachable");
  expect(lost.effects.map((effect) => effect.type)).toEqual(["publish", "record", "sweep"]);
  const back = step(lost.state, beat, T0 + 200_000);
  expect(back.state.status).toBe("online");
  expect(back.effects.map((effect) => effect.type)).toEqual(["publish", "record", "sweep"]);
});

test("beats reach the directory at most once a minute", () => {
  let state = step(initialLiveness, { type: "registered" }, T0).state;
  const published: number[] = [];
  for (let now = T0; now <= T0 + 2 * PUBLISH_EVERY_MS; now += 10_000) {
    const next = step(state, beat, now);
    if (next.effects.length > 0) published.push(now - T0);
    state = next.state;
  }
  expect(published).toEqual([0, PUBLISH_EVERY_MS, 2 * PUBLISH_EVERY_MS]);
});

test("a host that moved is published at once, and only then", () => {
  const online = step(step(initialLiveness, { type: "registered" }, T0).state, beat, T0).state;
  const moved = step(online, { type: "beat", address: "127.0.0.1:2" }, T0 + 1);
  expect(moved.effects).toEqual([{ type: "publish" }]);
  expect(step(moved.state, { type: "beat", address: "127.0.0.1:2" }, T0 + 2).effects).toEqual([]);
  expect(step(moved.state, beat, T0 + 2).state.address).toBe("127.0.0.1:2");
});

test("a host that never registered has no beats", () => {
  expect(step(initialLiveness, beat, T0)).toEqual({ state: initialLiveness, effects: [] });
});

const load = (id: string, more: Partial<HostLoad>): HostLoad => ({
  id,
  address: "127.0.0.1:1",
  cpuCores: 4,
  memoryMb: 8_192,
  diskGb: 100,
  usedVcpus: 0,
  usedMemoryMb: 0,
  usedDiskMb: 0,
  ...more,
});
const need = {
  id: "sb",
  teamId: "team",
  vcpus: 1,
  memoryMb: 512,
  diskSizeMb: 5_120,
  timeoutSec: 0,
  templateId: null,
  disposable: true,
};

test.for<[string, HostLoad[], string | undefined]>([
  ["the emptier one", [load("a", { usedMemoryMb: 8_000 }), load("b", {})], "b"],
  ["by its tightest resource", [load("a", { usedDiskMb: 900_000 }), load("b", { usedMemoryMb: 16_000 })], "b"],
  ["not one without room", [load("a", { memoryMb: 100 }), load("b", { usedMemoryMb: 30_000 })], "b"],
  ["a busy processor all the same", [load("a", { usedVcpus: 400 })], "a"],
  ["none when memory is gone", [load("a", { usedMemoryMb: 4 * 8_192 })], undefined],
  ["none when disk is gone", [load("a", { usedDiskMb: 10 * 100 * 1_024 })], undefined],
  ["one of unknown size", [load("a", { cpuCores: null, memoryMb: null, diskGb: null })], "a"],
  ["none of none", [], undefined],
])("R340 placement picks %s", ([, hosts, expected]) => {
  expect(chooseHost(hosts, need)?.id).toBe(expected);
});

test.for<[string, string]>([
  ["127.0.0.1:8080", "http://127.0.0.1:8080"],
  ["localhost:80", "http://localhost:80"],
  ["[::1]:9000", "http://[::1]:9000"],
  ["10.0.0.5:9000", "https://10.0.0.5:9000"],
  ["agent.example.com:443", "https://agent.example.com:443"],
  ["127.0.0.1.example.com:1", "https://127.0.0.1.example.com:1"],
  ["https://quick-name.trycloudflare.com", "https://quick-name.trycloudflare.com"],
  ["HTTPS://Agent.Example.com:8443", "https://agent.example.com:8443"],
  ["https://[2606:4700::1]:443", "https://[2606:4700::1]:443"],
  ["https://127.0.0.1:9000", "https://127.0.0.1:9000"],
])("the agent at %s is called at %s", ([address, origin]) => {
  expect(agentUrl(address)?.origin).toBe(origin);
});

test.for([
  "",
  "host",
  "host:99999",
  "http://host:1",
  "http://127.0.0.1:1",
  "https://",
  "https://host/",
  "https://host/path",
  "https://user@host",
  "https://host?x",
  "https://host:99999",
  "https:host:1",
  "ftp://host:1",
  "host:1/path",
  "user@host:1",
  "host:1?x",
  "a b:1",
  "host:1#x",
  "[::1",
])("%o is no address of an agent", (address) => {
  expect(agentUrl(address)).toBeUndefined();
});

test("T4 a token of one kind is no token of the other, and names its host", async () => {
  const hostId = "host_01234567890123456789";
  const { token, hash } = await newHostToken("refresh", hostId);
  expect(await readHostToken("refresh", token)).toEqual({ hostId, hash });
  expect(await readHostToken("registration", token)).toBeUndefined();
  expect(await readHostToken("refresh", `${token}.x`)).toBeUndefined();
  expect(await readHostToken("refresh", "lsref.host_x.y")).toBeUndefined();
});
