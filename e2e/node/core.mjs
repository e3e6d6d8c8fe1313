// Hands the gateway's tokens to @mux/playback-core, the library under all of
// Mux's web players, and reports what it makes of them. Its requests to Mux's
// hosts go to the simulated Mux.
//
// in:  {mux, playbackId, tokens: {playback, thumbnail, storyboard, drm}}
import * as core from "@mux/playback-core";
import { answer, input } from "./kit.mjs";

const { mux, playbackId, tokens } = input();
const asked = [];
const real = globalThis.fetch;
globalThis.window = { location: { href: "https://www.acme.example/" } }; // playlists are resolved against it
globalThis.fetch = async (resource, options) => {
  const url = typeof resource === "string" || resource instanceof URL ? new URL(resource) : new URL(resource.url);
  const response = await real(new URL(url.pathname + url.search, mux), options);
  asked.push({ host: url.host, path: url.pathname, query: [...url.searchParams.keys()], method: options?.method ?? "GET", status: response.status, reason: response.headers.get("x-muxsim-reason") });
  // Where a response came from matters for relative URLs.
  return new Proxy(response, { get: (target, name) => { const v = name === "url" ? url.href : Reflect.get(target, name); return typeof v === "function" ? v.bind(target) : v; } });
};

// What a page may also have set is dropped beside a token: it is in the token.
const settings = { maxResolution: "720p", renditionOrder: "desc", assetStartTime: 3, extraSourceParams: { redundant_streams: true } };
const src = core.toMuxVideoURL({ playbackId, tokens, ...settings });
const stream = await core.getStreamInfoFromSrcAndType(src, core.ExtensionMimeTypeMap.M3U8);
const licence = Object.fromEntries(["widevine", "playready", "fairplay"].map((scheme) => [scheme, core.toLicenseKeyURL({ playbackId, tokens }, scheme)]));
const certificate = core.toAppCertURL({ playbackId, tokens }, "fairplay");
const text = (bytes) => new TextDecoder().decode(bytes);
const licences = {};
for (const [scheme, url] of Object.entries(licence)) licences[scheme] = text(await core.getLicenseKey(new ArrayBuffer(8), url));

answer({
  src, licence, certificate, licences, asked,
  srcOfToken: core.toMuxVideoURL({ playbackId, playbackToken: tokens.playback, ...settings }),
  srcInID: core.toMuxVideoURL({ playbackId: `${playbackId}?token=${tokens.playback}` }),
  playbackId: core.toPlaybackIdFromSrc(src),
  isMux: core.isMuxVideoSrc({ src }),
  streamType: stream.streamType,
  certificateText: text(await core.getAppCertificate(certificate)),
  claims: Object.fromEntries(Object.entries(tokens).map(([name, token]) => [name, core.parseJwt(token)])),
  audiences: core.MuxJWTAud,
});
