/** Version of the product and of its API documents. */
export const VERSION = "0.1.0";
