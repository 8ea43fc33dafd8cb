import { buildWorker } from "#scripts/lib/build";
import { main, step } from "#scripts/lib/terminal";

await main(async () => {
  await step("Bundling the Worker", buildWorker);
  return 0;
});
