// Verifies tokens as any service in Node would: jose with a remote key set.
//
// in:  {checks: [{name, url, host, token, options}]}
// out: [{name, code, header, payload}], code "" for a good token
import { request } from "node:http";
import { createRemoteJWKSet, customFetch, jwtVerify } from "jose";
import { answer, input } from "./kit.mjs";

// fetchAt asks the loopback address under another Host, which fetch forbids.
const fetchAt = (host) => (url, { headers }) => new Promise((resolve, reject) => {
  const all = { ...Object.fromEntries(new Headers(headers)), host };
  request(url, { headers: all }, (response) => {
    const body = [];
    response.on("data", (chunk) => body.push(chunk));
    response.on("end", () => resolve(new Response(Buffer.concat(body), { status: response.statusCode })));
  }).on("error", reject).end();
});

const sets = new Map();
function keySet(url, host) {
  const name = `${url} ${host}`;
  if (!sets.has(name)) sets.set(name, createRemoteJWKSet(new URL(url), host ? { [customFetch]: fetchAt(host) } : {}));
  return sets.get(name);
}

const out = [];
for (const { name, url, host, token, options } of input().checks) {
  try {
    const { protectedHeader, payload } = await jwtVerify(token, keySet(url, host), { algorithms: ["RS256"], ...options });
    out.push({ name, code: "", header: protectedHeader, payload });
  } catch (error) {
    out.push({ name, code: error.code ?? String(error) });
  }
}
answer(out);
