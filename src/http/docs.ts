import { html, raw } from "hono/html";
import { type DocumentedOperation, documentOf } from "#http/openapi";
import type { Surface } from "#http/surface";

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-top: 1px solid var(--line); padding-top: 1.5rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow: auto; border-radius: 6px; max-height: 30rem; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } .verb { display: inline-block; min-width: 4rem; font-weight: 600; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
.note { opacity: .75; }`;

/** A page of ours: no script, nothing from elsewhere. */
export const page = (title: string, body: unknown) => html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${raw(STYLE)}</style></head><body>${body}</body></html>`;

/** The page at `/`: what this server is and where its documentation lies. */
export const landingPage = (surfaces: readonly Surface[]) =>
  page(
    "Longshore",
    html`<h1>Longshore</h1>
      <p>An open agent platform: workspaces with sandboxes to run code in, and durable agent sessions.</p>
      <ul>
        <li><a href="/docs">API reference</a></li>
        <li>OpenAPI document of all surfaces: <a href="/openapi.json">JSON</a>, <a href="/openapi.yaml">YAML</a></li>
        ${surfaces.map(({ name, title }) => html`<li><a href="/openapi/${name}.json">OpenAPI document: ${title}</a></li>`)}
        <li><a href="/healthz">Health</a> and <a href="/readyz">readiness</a></li>
      </ul>`,
  );

/** The reference at `/docs`, rendered from the same documents; needs no script and nothing from elsewhere. */
export const docsPage = (surfaces: readonly Surface[], version: string) =>
  page(
    "Longshore API reference",
    html`<h1>Longshore API reference</h1>
      <p class="note">Version ${version}. Send an API key as <code>X-API-Key</code> or as a bearer token.</p>
      ${surfaces.map((surface) => surfaceSection(surface, version))}`,
  );

function surfaceSection(surface: Surface, version: string) {
  const document = documentOf(surface, version);
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  return html`<h2 id="${surface.name}">${surface.title}</h2>
    <p>${surface.description}</p>
    ${tags.map(
      (tag) => html`<h3>${tag}</h3>
        ${operations
          .filter(({ operation }) => operation.tags.includes(tag))
          .map(({ path, method, operation }) => operationEntry(path, method, operation))}`,
    )}
    <details><summary>Schemas</summary><pre>${pretty(document.components.schemas)}</pre></details>`;
}

const pretty = (value: unknown) => JSON.stringify(value, null, 2);

function operationEntry(path: string, method: string, operation: DocumentedOperation) {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const permission = operation["x-permission"];
  return html`<details id="${operationId}">
    <summary><span class="verb">${method.toUpperCase()}</span> <code>${path}</code> – ${summary}</summary>
    ${description ? html`<p>${description}</p>` : ""}
    <p class="note">${permission ? html`Needs <code>${permission}</code>` : "Needs no credential"}</p>
    ${
      parameters.length > 0
        ? html`<table><tr><th>Parameter</th><th>In</th><th>Schema</th></tr>
          ${parameters.map(
            (one) => html`<tr><td><code>${one.name}</code>${one.required ? " (required)" : ""}</td><td>${one.in}</td>
              <td><code>${JSON.stringify(one.schema)}</code> ${one.description ?? ""}</td></tr>`,
          )}</table>`
        : ""
    }
    ${requestBody ? html`<p>Body</p><pre>${pretty(requestBody.content)}</pre>` : ""}
    <table><tr><th>Status</th><th>Meaning</th></tr>
      ${Object.entries(responses).map(([status, one]) => html`<tr><td>${status}</td><td>${one.description}</td></tr>`)}
    </table>
    ${responses["200"]?.content ? html`<p>Answer</p><pre>${pretty(responses["200"].content)}</pre>` : ""}
  </details>`;
}
