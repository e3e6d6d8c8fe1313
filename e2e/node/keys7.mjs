// Manages signing keys with Mux's SDK of version 7, which has them below
// /video/v1 and speaks through axios, and signs with what it was given.
//
// in:  {baseURL, tokenId, tokenSecret, playbackId, active}
// out: what the SDK made of each answer; an error is {type, code}
import Mux from "@mux/mux-node-7";
import { answer, check, input } from "./kit.mjs";

const { baseURL, tokenId, tokenSecret, playbackId, active } = input();

const client = (id, secret) => new Mux(id, secret, { baseUrl: baseURL }).Video.SigningKeys;
const keys = client(tokenId, tokenSecret);

// refusal tells how a call fails: the SDK throws the envelope's error object.
async function refusal(work) {
  try {
    await work();
  } catch (error) {
    return { type: error.type, code: error.code };
  }
  throw new Error("it was not refused");
}

const ids = async () => (await keys.list()).map((key) => key.id).sort();

const before = await keys.list();
const key = await keys.create();
const second = await keys.create();
const listed = await ids();
const read = await keys.get(key.id);
check(!("private_key" in read), "a key that is read holds its private half");
const token = Mux.JWT.signPlaybackId(playbackId, { keyId: key.id, keySecret: key.private_key, type: "video", expiration: "1h" });
const deleted = (await keys.del(second.id)) ?? null;

answer({
  before, key: { id: key.id, created_at: key.created_at, members: Object.keys(key).sort() }, second: second.id, listed, read, token, deleted,
  after: await ids(),
  refused: {
    unknown: await refusal(() => keys.get("NoSuchKey")),
    active: await refusal(() => keys.del(active)),
    secret: await refusal(() => client(tokenId, "wrong").list()),
    reader: await refusal(() => client("reader", tokenSecret).create()),
  },
});
