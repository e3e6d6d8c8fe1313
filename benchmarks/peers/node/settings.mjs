// What every peer here is told by its environment, and the answer it gives.
import { readFileSync } from "node:fs";

export const port = Number(process.env.PORT);
export const keyID = process.env.SIGNING_KEY_ID;
export const privateKey = readFileSync(process.env.SIGNING_KEY_FILE, "utf8"); // PEM, PKCS #8
export const lifetime = 3600; // seconds
export const remembered = { max: 100_000, ttl: (lifetime / 2) * 1000 }; // of an LRU: a token is given out for half its life
export const cached = process.env.CACHE === "lru";

// Makes the answer as long as the gateway's, so that both send the same number of bytes.
const filler = "x".repeat(Number(process.env.FILLER ?? 0));

export const audience = { video: "v", thumbnail: "t", gif: "g", storyboard: "s" };

export function answer(id, token) {
  return { token, url: `https://stream.mux.com/${id}.m3u8?token=${token}`, filler };
}
