/**
 * Name of the object that one upload has stored a chunk in. It is never used again by another upload: a deletion that
 * comes late hits nothing that is in use. Teams share no chunks, so that none can tell what another one has (T1).
 */
export const objectName = (teamId: string, hash: string, uploadId: string): string =>
  `chunks/${spaceOf(teamId)}/${hash}/${uploadId}`;

/** Name of the store of a team, or of the platform. */
export const spaceOf = (teamId: string): string => (teamId === "" ? "platform" : teamId);
