/** Calls the model server without the product: milliseconds to the first token and to the end. */
export async function callModel(url: string, content: string): Promise<{ firstMs: number; totalMs: number }> {
  const started = performance.now();
  const response = await fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer none" },
    body: JSON.stringify({ model: "echo", stream: true, messages: [{ role: "user", content }] }),
  });
  let firstMs = 0;
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    if (firstMs === 0 && decoder.decode(chunk).includes('"content":"')) firstMs = performance.now() - started;
  }
  return { firstMs, totalMs: performance.now() - started };
}
