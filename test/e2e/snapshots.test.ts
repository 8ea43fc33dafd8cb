import { afterAll, beforeAll, expect, test } from "vitest";
import { ProductCapsule } from "#test/node/product-capsule";

let capsule: ProductCapsule;

beforeAll(async () => {
  capsule = await ProductCapsule.start();
}, 180_000);
afterAll(async () => {
  await capsule?.product.stop();
});

const take = (name: string) => capsule.ask("POST", "/v1/snapshots", { sandbox_id: capsule.id, name });

/** A capsule from a template, once it is not starting any more; `sh` runs a line in it. */
async function from(template: string) {
  let { body } = await capsule.ask("POST", "/v1/capsules", { template });
  await expect
    .poll(
      async () => {
        ({ body } = await capsule.ask("GET", `/v1/capsules/${body.id}`));
        return body.status;
      },
      { timeout: 60_000, interval: 50 },
    )
    .not.toBe("starting");
  const sh = async (line: string): Promise<string> =>
    (await capsule.ask("POST", `/v1/capsules/${body.id}/exec`, { cmd: "/bin/sh", args: ["-c", line] })).body.stdout;
  return { id: body.id as string, status: body.status as string, sh };
}

const LIST = "find . -path ./times -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";

test("files of a live snapshot are in what is made from it, and a process that counts goes on (R286 to R288, R303)", async () => {
  await capsule.sh("mkdir -p a/b; echo one >a/b/one; ln -s b a/link; head -c 3000000 /dev/urandom >big; chmod 640 big");
  const counting = capsule.exec({
    cmd: "/bin/sh",
    args: ["-c", "while [ ! -e stop ]; do date +%s%N >>times; sleep 0.02; done"],
    timeout_sec: 60,
  });
  await expect.poll(() => capsule.sh("test -s times && echo yes")).toBe("yes\n");
  const taken = await take("first");
  expect(taken, JSON.stringify(taken.body)).toMatchObject({ status: 201, body: { type: "snapshot", platform: false } });
  expect(taken.body.size_bytes).toBeGreaterThan(3_000_000);
  await capsule.sh("sleep 0.2; touch stop");
  expect((await counting).body.exit_code).toBe(0);
  await capsule.sh("rm stop");
  const times = (await capsule.sh("cat times"))
    .trim()
    .split("\n")
    .map((text) => Number(text) / 1e6);
  expect(Math.max(...times.slice(1).map((at, i) => at - times[i]!))).toBeLessThan(3_000);

  const copy = await from("first");
  expect(copy.status).toBe("running");
  expect(await copy.sh(LIST)).toBe(await capsule.sh(LIST));
  expect(await copy.sh("readlink a/link; stat -c %a big")).toBe("b\n640\n");
  await copy.sh("echo changed >a/b/one");
  expect(await capsule.sh("cat a/b/one")).toBe("one\n");
  expect((await capsule.ask("DELETE", "/v1/snapshots/first")).status).toBe(204);
  expect(await copy.sh("cat a/b/one")).toBe("changed\n");
  expect((await capsule.ask("POST", "/v1/capsules", { template: "first" })).status).toBe(404);
});

test("a snapshot of a capsule that came from a snapshot carries on (R288)", async () => {
  await take("second");
  const child = await from("second");
  await child.sh("echo child >child");
  const { status, body } = await capsule.ask("POST", "/v1/snapshots", { sandbox_id: child.id, name: "third" });
  expect(status, JSON.stringify(body)).toBe(201);
  const grandchild = await from("third");
  expect(await grandchild.sh("cat child a/b/one")).toBe("child\none\n");
});
