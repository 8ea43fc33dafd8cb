/** Secrets and optional settings, which wrangler.toml does not declare. */
interface __BaseEnv_Env {
  /** Private Ed25519 key as a JWK; signs the control plane's short-lived tokens. */
  SIGNING_KEY?: string;
  /** Opens the local set-up operations; absent on a deployment that is set up. */
  SETUP_TOKEN?: string;
}
