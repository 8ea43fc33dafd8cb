import { rmSync } from "node:fs";
import { expect, test } from "vitest";
import { freePort } from "#scripts/lib/free-port";
import { startProduct } from "#scripts/lib/product";
import { openFolder } from "#test/node/open-folder";
import { Receiver } from "#test/node/receiver";

test("a started product reaches no name that resolves to this machine, whatever it is called (R360, W2)", async () => {
  const receiver = await Receiver.start();
  const dataDir = openFolder("outbound");
  const product = await startProduct({ dataDir, host: "127.0.0.1", port: await freePort(), vars: {} });
  try {
    type Service = { fetch: (url: string) => Promise<unknown> };
    const { OUTBOUND } = await product.miniflare.getBindings<{ OUTBOUND: Service }>();
    for (const host of ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"]) {
      await expect(OUTBOUND.fetch(`http://${host}:${receiver.port}/box`), host).rejects.toThrow();
    }
    const came = () => fetch(`http://127.0.0.1:${receiver.port}/control/box`).then((answer) => answer.json());
    expect(await came()).toEqual([]);
    await fetch(`http://localhost:${receiver.port}/box`);
    expect(await came()).toHaveLength(1);
  } finally {
    await product.stop();
    await receiver.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
