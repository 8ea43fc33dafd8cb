import { expect, test } from "vitest";
import { call } from "#test/worker/harness";
import { version } from "../../package.json";

test("the health of the API and its version can be asked for by anybody (R423)", async () => {
  expect(await call("GET", "/health")).toMatchObject({ status: 200, body: { status: "ok", version } });
});
