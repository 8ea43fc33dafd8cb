import { DurableObject } from "cloudflare:workers";

export class HostObject extends DurableObject<Env> {}
