/**
 * The `Content-Disposition` of a download. Everything in the name but plain letters, digits and a few marks is
 * percent-encoded (RFC 8187), so no header can be forged by it.
 */
export const attachment = (name: string): string =>
  `attachment; filename*=UTF-8''${encodeURIComponent(name.toWellFormed()).replaceAll(/['()*]/g, percent)}`;

const percent = (c: string): string => `%${c.charCodeAt(0).toString(16).toUpperCase()}`;
