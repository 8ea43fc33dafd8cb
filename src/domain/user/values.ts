import { z } from "zod";

/** An e-mail in the form it is stored and compared in. */
export const Email = z
  .string()
  .max(508)
  .overwrite((text) => text.trim().normalize("NFC").toLowerCase())
  .check(z.email());
