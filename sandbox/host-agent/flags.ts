/**
 * Options of Node that the agent runs with. What it passes on are buffers, which count little in Node's own memory: with a
 * small nursery they are freed as soon as they were sent, and not only after tens of megabytes.
 */
export const NODE_FLAGS = ["--max-semi-space-size=1"];

/** Options of Node that every supervisor runs with: its own memory is taken from the sandbox's. In MiB. */
export const SUPERVISOR_FLAGS = ["--max-old-space-size=64", "--max-semi-space-size=1"];
