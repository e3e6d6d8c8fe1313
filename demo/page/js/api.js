// Talks to the gateway and to the demo's own endpoints.

async function read(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { error: { code: "", messages: [text.slice(0, 200)] } };
  }
}

async function demo(path, options) {
  const response = await fetch(`/demo/api/${path}`, options);
  const body = await read(response);
  if (!response.ok) throw new Error(body.error?.messages?.[0] ?? `status ${response.status}`);
  return body;
}

export const catalogue = () => demo("catalogue");
export const policies = () => demo("policy");
export const session = (viewer) => demo(`session?viewer=${encodeURIComponent(viewer)}`);

export const switchPolicy = (name) =>
  demo("policy", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name }) });

// mint asks the gateway for tokens, as any front end would.
export async function mint(jwt, body) {
  const response = await fetch("/v1/tokens", {
    method: "POST",
    headers: { Authorization: `Bearer ${jwt}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const header = (name) => response.headers.get(name) ?? "";
  return {
    ok: response.ok,
    status: response.status,
    statusText: response.statusText,
    body: await read(response),
    cache: header("X-Playgate-Cache"),
    requestID: header("X-Request-Id"),
    retryAfter: Number(header("Retry-After")) || 0,
  };
}

// probe sends one request to Mux and returns what it says.
export async function probe(url, method = "GET") {
  try {
    const response = await fetch(url, { method, cache: "no-store" });
    const body = response.ok ? {} : await read(response);
    return { status: response.status, ...verdict(body, response.headers.get("X-Muxsim-Reason")) };
  } catch {
    return { status: 0, reason: "unreachable", detail: "The simulated Mux did not answer." };
  }
}

// verdict splits the simulator's message, "reason: detail". Real Mux gives no
// reason; then the envelope's type has to do.
export function verdict(body, header) {
  const message = body?.error?.messages?.[0] ?? "";
  const [reason, ...rest] = message.split(": ");
  if (rest.length > 0) return { reason, detail: rest.join(": ") };
  return { reason: header || body?.error?.type || "ok", detail: message };
}
