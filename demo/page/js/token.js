// Reads tokens for people. Nothing here verifies a signature: that is the
// business of Mux, which has the public key.

const decodePart = (part) => {
  const binary = atob(part.replace(/-/g, "+").replace(/_/g, "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
};

const encodePart = (value) => {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

// decode returns {header, claims} of a compact JWT.
export function decode(compact) {
  const [header, payload] = compact.split(".");
  return { header: decodePart(header), claims: decodePart(payload) };
}

// extend returns the token with a later exp and its old signature: a forgery.
export function extend(compact, seconds) {
  const [header, payload, signature] = compact.split(".");
  const claims = decodePart(payload);
  claims.exp += seconds;
  return [header, encodePart(claims), signature].join(".");
}

// shorten leaves enough of a token to recognize it, and too little to use it.
export const shorten = (compact) => (compact ? `${compact.slice(0, 12)}…${compact.slice(-6)} (${compact.length} characters)` : compact);

const audiences = {
  v: "for the video: manifest, subtitles, MP4 files",
  t: "for thumbnails",
  g: "for animated pictures",
  s: "for the storyboard",
  d: "for DRM licences",
  playback_id: "for viewer counts of a playback ID",
  asset_id: "for viewer counts of an asset",
  live_stream_id: "for viewer counts of a live stream",
  video_id: "for viewer counts of a Mux Data video",
};

const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

const notes = {
  kid: () => "the signing key whose public half Mux uses to check this",
  sub: () => "opens this playback ID and no other",
  aud: (value) => audiences[value] ?? "an unknown use",
  exp: (value) => `Mux refuses it from ${time(value)} on`,
  iat: (value) => `made at ${time(value)}`,
  nbf: (value) => `not before ${time(value)}`,
  iss: () => "who vouches for the viewer",
  jti: () => "an ID of this JWT",
  max_resolution: (value) => `no rendition above ${value} in the manifest`,
  min_resolution: (value) => `no rendition below ${value} in the manifest`,
  asset_start_time: (value) => `a clip that begins at second ${value}`,
  asset_end_time: (value) => `a clip that ends at second ${value}`,
  program_start_time: (value) => `nothing before ${time(value)}`,
  program_end_time: (value) => `nothing after ${time(value)}`,
  redundant_streams: () => "lists a second CDN",
  rendition_order: () => "best rendition first",
  default_subtitles_lang: () => "subtitles that are on at first",
  exclude_pdt: () => "no clock times in the playlist",
  roku_trick_play: () => "adds pictures for Roku’s fast forward",
  playback_restriction_id: () => "only pages and devices that this restriction allows",
  custom: () => "data of our own: it makes the token personal",
  time: (value) => `the picture at second ${value}`,
  width: (value) => `${value} pixels wide`,
  height: (value) => `${value} pixels high`,
  format: (value) => `pictures as ${value}`,
  plan: () => "the rules look at this",
  blocked: () => "the rules look at this",
  name: () => "the rules do not care",
};

// explain says in plain language what a claim means.
export function explain(name, value, viewer = false) {
  if (viewer && name === "sub") return "who the viewer is: viewer.id in the rules";
  if (viewer && name === "aud") return "with iss, it chooses the environment";
  if (viewer && name === "exp") return `the gateway refuses it from ${time(value)} on`;
  return notes[name]?.(value) ?? "";
}
