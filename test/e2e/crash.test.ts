import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "#scripts/lib/build";
import { DIST } from "#scripts/lib/paths";
import { ModelServer } from "#test/node/model-server";
import { storm } from "#test/node/storm";

const KILLS = Number(process.env.KILLS ?? 20);
const SEED = Number(process.env.SEED ?? Date.now() % 100_000);

let model: ModelServer;
const folders: string[] = [];
const folder = () => {
  const made = mkdtempSync(join(tmpdir(), "longshore-storm-"));
  folders.push(made);
  return made;
};

beforeAll(async () => {
  model = await ModelServer.start({
    record: false,
    scripts: { slowly: [{ steps: [{ tokens: 12, perSecond: 120 }] }] },
  });
});
afterAll(async () => {
  await model.close();
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

const vars = () => ({
  MODELS: JSON.stringify({
    default: "scripted",
    models: { scripted: { provider: "openai-compatible", model: "scripted", url: model.url } },
  }),
});

test(`R1 R2 R6 R8: ${KILLS} SIGKILLs lose nothing, double nothing and leave no gap (SEED=${SEED})`, async () => {
  const damage = await storm({ dataDir: folder(), vars: vars(), kills: KILLS, seed: SEED });
  console.log(`tried ${damage.tried}, runs ${damage.acknowledged}`);
  expect(damage).toMatchObject({ lost: [], doubled: [], unstableKeys: [], gaps: [], unfinished: [] });
  expect(damage.acknowledged).toBeGreaterThan(KILLS);
});

test("the storm catches a product that stores its keys late", async () => {
  await bundle("test/support/worker/late-keys-worker.ts", "late-keys");
  const damage = await storm({
    dataDir: folder(),
    vars: vars(),
    kills: 4,
    seed: SEED,
    bundle: join(DIST, "late-keys", "late-keys-worker.js"),
  });
  expect([...damage.unstableKeys, ...damage.doubled]).not.toEqual([]);
});
