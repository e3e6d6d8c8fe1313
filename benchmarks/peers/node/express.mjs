// Express and Mux's own SDK: the documented way to sign a playback ID.
import { randomUUID } from "node:crypto";
import Mux from "@mux/mux-node";
import express from "express";
import { LRUCache } from "lru-cache";
import { answer, audience, cached, keyID, lifetime, port, privateKey, remembered } from "./settings.mjs";

const mux = new Mux({ tokenId: "unused", tokenSecret: "unused", jwtSigningKey: keyID, jwtPrivateKey: privateKey });
const tokens = cached ? new LRUCache(remembered) : undefined;

async function token(id, type) {
  const known = tokens?.get(`${id} ${type}`);
  if (known) return known;
  const fresh = await mux.jwt.signPlaybackId(id, {
    type,
    expiration: `${lifetime}s`,
    params: { max_resolution: "2160p" },
  });
  tokens?.set(`${id} ${type}`, fresh);
  return fresh;
}

const app = express();
app.disable("x-powered-by");
app.disable("etag"); // it would hash every answer, and nobody may store these
app.get("/v1/playback-ids/:id/token", async (req, res) => {
  const type = req.query.type ?? "video";
  if (!Object.hasOwn(audience, type)) return res.status(400).json({ error: "unknown type" });
  res.set("Cache-Control", "private, no-store");
  res.set("X-Request-Id", randomUUID());
  res.json(answer(req.params.id, await token(req.params.id, type)));
});
app.listen(port, "127.0.0.1");
