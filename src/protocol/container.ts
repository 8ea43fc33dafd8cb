import type { NetworkPolicy } from "#protocol/host-agent";

/**
 * A sandbox in a container speaks the host agent's interface too, see `protocol/host-agent`: its lifecycle is answered by
 * the container's object, which starts and saves the container, and everything else by the agent inside.
 */

/** The audience of tokens for any container, and where such a sandbox is placed. */
export const CONTAINER_HOST = "container";

/** Where the agent listens inside. */
export const CONTAINER_AGENT_PORT = 8377;

/** Name of the image in the deployment's configuration. */
export const CONTAINER_IMAGE = "sandbox";

/** A container reaches every public address or none: what lies between is none. */
export const isOpen = (network: NetworkPolicy): boolean => network !== "off" && network.allow.includes("*");
