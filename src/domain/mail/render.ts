/** A letter in words. `action` is the one thing its reader is asked to do. */
export type Content = {
  subject: string;
  before: string[];
  action?: Action;
};
type Action = {
  label: string;
  /** Page of the web app, which takes the secret in its query. */
  page: string;
  token: string;
  /** The same done by hand. */
  call: { path: string; body: Record<string, string> };
};

type Rendered = { subject: string; text: string; html: string };

const GREETING = "Hello,";

/** The letter as plain text and as HTML that needs nothing from elsewhere. */
export function render(content: Content, appUrl: string): Rendered {
  return { subject: content.subject, text: toText(content, appUrl), html: toHtml(content, appUrl) };
}

const linkOf = ({ page, token }: Action, appUrl: string) =>
  appUrl === "" ? undefined : `${appUrl}${page}?token=${encodeURIComponent(token)}`;

const curlOf = ({ call }: Action, appUrl: string) =>
  `curl -X POST ${appUrl || "https://YOUR-DEPLOYMENT"}${call.path} -H 'content-type: application/json' -d '${JSON.stringify(call.body)}'`;

function toText({ before, action }: Content, appUrl: string): string {
  const link = action && linkOf(action, appUrl);
  const parts = [
    GREETING,
    ...before,
    ...(action && link ? [`${action.label}: ${link}`] : []),
    ...(action ? [`Your code: ${action.token}`, `Without a browser:\n${curlOf(action, appUrl)}`] : []),
  ];
  return `${parts.join("\n\n")}\n`;
}

function toHtml({ subject, before, action }: Content, appUrl: string): string {
  const paragraphs = [GREETING, ...before].map(paragraph).join("");
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(subject)}</title></head>
<body style="margin:0;padding:32px 16px;background:#f4f5f7;font:16px/1.5 system-ui,sans-serif;color:#1c2128">
<div style="max-width:520px;margin:0 auto;padding:32px;background:#fff;border-radius:12px">
<h1 style="margin:0 0 16px;font-size:20px">${escaped(subject)}</h1>${paragraphs}${action ? actionHtml(action, appUrl) : ""}</div>
</body></html>`;
}

function actionHtml(action: Action, appUrl: string): string {
  const link = linkOf(action, appUrl);
  const button = (url: string) =>
    `<p style="margin:24px 0"><a href="${escaped(url)}" style="display:inline-block;padding:12px 20px;border-radius:8px;background:#1f5eff;color:#fff;text-decoration:none">${escaped(action.label)}</a></p>${small(url)}`;
  return `${link ? button(link) : ""}${small(`Your code: ${action.token}`)}`;
}

const paragraph = (text: string) => `<p style="margin:0 0 16px">${escaped(text)}</p>`;
const small = (text: string) =>
  `<p style="margin:0 0 8px;font-size:13px;color:#57606a;word-break:break-all">${escaped(text)}</p>`;

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text: string) => text.replaceAll(/[&<>"']/g, (c) => ESCAPES[c] ?? c);
