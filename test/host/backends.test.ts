import { vi } from "vitest";
import { isRoot } from "#test/node/agent";
import { ISOLATED_WAYS } from "#test/node/agent-ways";
import { describeBackend } from "#test/node/backend-suite";
import { containerMachine, nativeContainer, sdkContainers } from "#test/node/fake-containers";
import { agentMachine } from "#test/node/machine";

vi.mock("@cloudflare/sandbox", async () => {
  const { FakeSandbox } = await import("#test/node/fake-containers");
  return { Sandbox: FakeSandbox };
});

for (const [way, options] of ISOLATED_WAYS) {
  describeBackend(`a host agent, ${way}`, () => agentMachine({ ...options, bundled: true }));
}

// Namespaces, and a user for the sandbox, take root; the same calls run on real containers in test/containers.
if (isRoot) {
  describeBackend("containers by ctx.container", () => containerMachine(nativeContainer));
  describeBackend("containers by the SDK's class", async () => {
    // Its types are those of the Workers runtime, which these tests do not have.
    const module = "#objects/container/sdk-container-object";
    const { SdkContainerObject } = await import(/* @vite-ignore */ module);
    return containerMachine(sdkContainers(SdkContainerObject));
  });
}
