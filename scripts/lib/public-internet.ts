/** A service of workerd that connects to public addresses only, whatever a name resolves to at that moment (W2). */
export const PUBLIC_INTERNET = { network: { allow: ["public"], tlsOptions: { trustBrowserCas: true } } };
