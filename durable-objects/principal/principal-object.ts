import { DurableObject } from "cloudflare:workers";

export class PrincipalObject extends DurableObject<Env> {}
