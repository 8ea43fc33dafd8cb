import { DurableObject } from "cloudflare:workers";

export class SandboxObject extends DurableObject<Env> {}
