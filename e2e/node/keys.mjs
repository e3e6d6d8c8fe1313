// Manages signing keys with Mux's official SDK, whose baseURL is a gateway, and
// signs with what it was given.
//
// in:  {sdk: "15" | "14" | "12", baseURL, tokenId, tokenSecret, playbackId, active, create}
//      create: how many keys to create besides the first
// out: what the SDK made of each answer; an error is {name, status, code, tries}
import { Mux as Mux15 } from "@mux/mux-node";
import { Mux as Mux14 } from "@mux/mux-node-14";
import { Mux as Mux12 } from "@mux/mux-node-12";
import { answer, check, input } from "./kit.mjs";

const { sdk, baseURL, tokenId, tokenSecret, playbackId, active, create } = input();
const Mux = { 15: Mux15, 14: Mux14, 12: Mux12 }[sdk];
const credentials = { webhookSecret: "unused", jwtSigningKey: "unused", jwtPrivateKey: "unused" };

let asked = 0;
const counting = (...args) => { asked += 1; return fetch(...args); };
const client = (more) => new Mux({ tokenId, tokenSecret, baseURL, fetch: counting, ...credentials, ...more });
const mux = client({});

// refusal tells how a call fails, and after how many requests.
async function refusal(work) {
  asked = 0;
  try {
    await work();
  } catch (error) {
    return { name: error.constructor.name, status: error.status, code: error.error?.error?.code ?? error.error?.code, tries: asked };
  }
  throw new Error("it was not refused");
}

async function all(limit) {
  const ids = [];
  for await (const key of mux.system.signingKeys.list({ limit })) {
    check(Object.keys(key).sort().join() === "created_at,id", `a key is listed with ${Object.keys(key)}`);
    ids.push(key.id);
  }
  return ids;
}

const whoami = await mux.system.utilities.whoami();
const before = await all(25);
const key = await mux.system.signingKeys.create();
const more = [];
for (let n = 0; n < create; n += 1) more.push((await mux.system.signingKeys.create()).id);
const listed = await all(2);
const read = await mux.system.signingKeys.retrieve(key.id);
const token = await mux.jwt.signPlaybackId(playbackId, { keyId: key.id, keySecret: key.private_key, type: "video", expiration: "1h" });
const deleted = [];
for (const id of more) deleted.push((await mux.system.signingKeys.delete(id)) ?? null);

answer({
  whoami, before, key: { id: key.id, created_at: key.created_at, members: Object.keys(key).sort() }, more, listed, read, token, deleted,
  after: await all(100),
  refused: {
    unknown: await refusal(() => mux.system.signingKeys.retrieve("NoSuchKey")),
    gone: await refusal(() => mux.system.signingKeys.retrieve(more[0])),
    again: await refusal(() => mux.system.signingKeys.delete(more[0])),
    active: await refusal(() => mux.system.signingKeys.delete(active)),
    secret: await refusal(() => client({ tokenSecret: "wrong" }).system.signingKeys.list()),
    reader: await refusal(() => client({ tokenId: "reader" }).system.signingKeys.create()),
    page: await refusal(() => mux.system.signingKeys.list({ page: 0 })),
  },
});
