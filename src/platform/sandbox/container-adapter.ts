import type { ContainerSizeName } from "#domain/container/sizes";

/**
 * Files of a sandbox as they were saved apart from its container, in the adapter's own words. They can be restored into
 * any number of containers.
 */
export type SavedFiles = { at: number; handle: unknown };

export type ContainerLaunch = {
  sandboxId: string;
  size: ContainerSizeName;
  /** The environment of the agent inside. */
  env: Record<string, string>;
  /** Whether it may reach what is outside. */
  internet: boolean;
  /** What to begin with; null for an empty workspace. */
  saved: SavedFiles | null;
};

/** One container of the platform, whatever API it is held by. Everything throws when the platform refuses. */
export interface ContainerAdapter {
  /**
   * Starts the container, and answers with the size it has, for people. Its agent is asked whether it serves afterwards.
   * Only called while none runs.
   */
  launch(launch: ContainerLaunch): Promise<string>;
  isAlive(): Promise<boolean>;
  /** A request to the port of the agent inside. Never starts a container. */
  fetch(request: Request): Promise<Response>;
  /** Saves the files of a running container, and answers with what restores them. */
  save(): Promise<unknown>;
  /** Forgets saved files, where the platform lets one. */
  discard(handle: unknown): Promise<void>;
  /** Ends the container at once; one that does not run is fine. */
  destroy(): Promise<void>;
  /** Puts off the time at which a container that nobody uses is ended by the platform. */
  keepAlive(): Promise<void>;
}
