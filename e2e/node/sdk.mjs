// Signs with Mux's official SDK, versions 15, 14 and 12, what the gateway signed,
// and lets jose verify all of them with the gateway's own key set.
//
// in:  {key: {id, pem}, jwks, calls: [{name, method, id, options, exp, ours}]}
// out: {calls: [{name, v15, v14, v12}]}, a token or an object of tokens each
import { createLocalJWKSet, jwtVerify } from "jose";
import { Mux as Mux15 } from "@mux/mux-node";
import { Mux as Mux14 } from "@mux/mux-node-14";
import { Mux as Mux12 } from "@mux/mux-node-12";
import { VERSION as version15 } from "@mux/mux-node/version";
import { VERSION as version14 } from "@mux/mux-node-14/version";
import { VERSION as version12 } from "@mux/mux-node-12/version";
import { answer, check, input } from "./kit.mjs";

const { key, jwks, calls } = input();
const keys = createLocalJWKSet(jwks);
const client = (Mux) => new Mux({
  tokenId: "unused", tokenSecret: "unused", webhookSecret: "unused",
  jwtSigningKey: key.id, jwtPrivateKey: key.pem,
});
const mux15 = client(Mux15);
const mux14 = client(Mux14);
const mux12 = client(Mux12);

// at freezes the clock that the SDK reads, so that a lifetime becomes an exp.
async function at(seconds, work) {
  const real = Date.now;
  Date.now = () => seconds * 1000;
  try {
    return await work();
  } finally {
    Date.now = real;
  }
}

async function verify(who, tokens, subject) {
  for (const token of typeof tokens === "string" ? [tokens] : Object.values(tokens)) {
    try {
      await jwtVerify(token, keys, { algorithms: ["RS256"], subject });
    } catch (error) {
      throw new Error(`jose refuses the token of ${who}: ${error.message}`);
    }
  }
}

const signed = [];
for (const { name, method, id, options, exp, ours } of calls) {
  const now = exp - 1000;
  // Numbers mean a lifetime to versions 14 and 15, and a time to version 12.
  const v15 = await at(now, () => mux15.jwt[method](id, { ...options, expiration: exp - now }));
  const v14 = await at(now, () => mux14.jwt[method](id, { ...options, expiration: exp - now }));
  const v12 = await mux12.jwt[method](id, { ...options, expiration: exp });
  await verify(`the gateway (${name})`, ours, id);
  await verify(`SDK 15 (${name})`, v15, id);
  await verify(`SDK 14 (${name})`, v14, id);
  await verify(`SDK 12 (${name})`, v12, id);
  signed.push({ name, v15, v14, v12 });
}
const versions = [version15, version14, version12].join();
check(versions === "15.3.0,14.0.1,12.8.1", `these are not the SDKs that were asked for: ${versions}`);
answer({ calls: signed });
