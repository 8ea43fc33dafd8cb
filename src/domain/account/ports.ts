/** Hashing of passwords: slow and memory-hard on purpose. */
export interface Passwords {
  /** A string that tells its algorithm, parameters and salt, to be stored. */
  hash(password: string): Promise<string>;
  /**
   * Whether the password is the stored one, and whether its hash is of parameters that are used no more. Without a hash
   * it does the same work for nothing, so that time does not tell who has an account.
   */
  verify(password: string, stored: string | null): Promise<{ ok: boolean; stale: boolean }>;
}
