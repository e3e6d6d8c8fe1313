// fastify and jose: what somebody writes who finds Express and the SDK slow.
import { randomUUID } from "node:crypto";
import Fastify from "fastify";
import { importPKCS8, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import { answer, audience, cached, keyID, lifetime, port, privateKey, remembered } from "./settings.mjs";

const key = await importPKCS8(privateKey, "RS256");
const tokens = cached ? new LRUCache(remembered) : undefined;

async function token(id, type) {
  const known = tokens?.get(`${id} ${type}`);
  if (known) return known;
  const fresh = await new SignJWT({ kid: keyID, max_resolution: "2160p" })
    .setProtectedHeader({ alg: "RS256", typ: "JWT" })
    .setSubject(id)
    .setAudience(audience[type])
    .setExpirationTime(Math.floor(Date.now() / 1000) + lifetime)
    .sign(key);
  tokens?.set(`${id} ${type}`, fresh);
  return fresh;
}

const answered = {
  200: {
    type: "object",
    properties: { token: { type: "string" }, url: { type: "string" }, filler: { type: "string" } },
  },
};

const app = Fastify();
app.get("/v1/playback-ids/:id/token", { schema: { response: answered } }, async (req, reply) => {
  const type = req.query.type ?? "video";
  if (!Object.hasOwn(audience, type)) return reply.code(400).send({ error: "unknown type" });
  reply.header("Cache-Control", "private, no-store");
  reply.header("X-Request-Id", randomUUID());
  return answer(req.params.id, await token(req.params.id, type));
});
await app.listen({ port, host: "127.0.0.1" });
