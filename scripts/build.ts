import { buildAll } from "#scripts/lib/build";
import { main, step } from "#scripts/lib/terminal";

await main(async () => {
  await step("Bundling the Worker and the sandbox programs", buildAll);
  return 0;
});
