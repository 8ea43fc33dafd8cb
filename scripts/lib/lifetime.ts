import { SIGNALS } from "#scripts/lib/terminal";

/** Waits for Ctrl-C or a polite kill, then stops what was started; a second Ctrl-C does not wait. */
export async function untilStopped(stop: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of SIGNALS) {
      // The runtime's own handlers end this process at once, before the host agent has stopped its sandboxes.
      process.removeAllListeners(signal);
      process.on(signal, () => resolve());
    }
  });
  process.once("SIGINT", () => process.exit(130));
  console.log("\nStopping …");
  await stop();
}
