import { Fault } from "#kernel/fault";

/** The platform's own template, which every team sees and nobody can delete (platform R298). */
export const MINIMAL = "minimal";

/** Owner of the templates that every team may use. */
export const PLATFORM_TEAM = "";

/** What a template may be called (platform R292). */
export const TEMPLATE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function demandTemplateName(name: string): void {
  if (TEMPLATE_NAME.test(name)) return;
  throw new Fault("invalid", "a template's name has up to 64 letters, digits, dots, underscores and dashes");
}
