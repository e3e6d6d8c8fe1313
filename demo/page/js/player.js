// Plays HLS with hls.js and lets tokens be renewed under a running playback.
//
// A token opens the multivariant playlist only. What that playlist lists are
// URLs with signatures of their own, which end when the token does, so a fresh
// token takes effect through a fresh playlist. Reloading the source would
// interrupt the video. Instead renew() fetches the new playlist beside the
// player, remembers the fresh URL of every path in it, and the loader swaps
// URLs as hls.js asks for them. The player never notices.

import Hls from "../vendor/hls.js-1.7.4/hls.light.min.mjs";
import { verdict } from "./api.js";

// links lists the URLs in a playlist, absolute.
function links(text, base) {
  const found = [];
  for (const line of text.split("\n").map((l) => l.trim())) {
    const uri = line.startsWith("#") ? line.match(/URI="([^"]+)"/)?.[1] : line;
    if (uri) found.push(new URL(uri, base).href);
  }
  return found;
}

// Refused is Mux's no to a playlist; its answer is {status, reason, detail}.
export class Refused extends Error {
  constructor(answer) {
    super(answer.reason);
    this.answer = answer;
  }
}

async function playlist(url) {
  const response = await fetch(url, { cache: "no-store" });
  const text = await response.text();
  if (response.ok) return links(text, response.url);
  throw new Refused({ status: response.status, ...verdict(envelope(text), response.headers.get("X-Muxsim-Reason")) });
}

function envelope(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not Mux's
  }
}

export class Player {
  #video;
  #on;
  #hls = null;
  #manifest = "";
  #fresh = new Map(); // path → URL with the newest signature
  #live = false;
  #stopped = false;

  // on has the callbacks manifest(), rendition(name), refused(verdict).
  constructor(video, on) {
    this.#video = video;
    this.#on = on;
    video.addEventListener("error", () => this.#nativeError());
  }

  // load plays a new source from its beginning.
  load(url, { live = false } = {}) {
    this.stop();
    this.#manifest = url;
    this.#live = live;
    this.#stopped = false;
    this.#video.loop = !live;
    if (!Hls.isSupported()) { // Safari on iPhone
      this.#video.src = url;
      this.#start();
      return;
    }
    const hls = new Hls(this.#config());
    this.#hls = hls;
    hls.on(Hls.Events.MANIFEST_PARSED, () => { this.#on.manifest(); this.#start(); });
    hls.on(Hls.Events.LEVEL_SWITCHED, (_, data) => this.#on.rendition(`${hls.levels[data.level].height}p`));
    hls.on(Hls.Events.ERROR, (_, data) => this.#error(data));
    hls.loadSource(url);
    hls.attachMedia(this.#video);
  }

  // renew makes the newest token's URLs take effect. Playback goes on.
  async renew(url) {
    this.#manifest = url;
    if (!this.#hls) return; // native playback takes the new URL when it next loads
    const renditions = await playlist(url);
    if (this.#stopped && this.#hls.levels.length === 0) { // not even the first playlist had come
      this.load(url, { live: this.#live });
      return;
    }
    this.#remember(renditions);
    // A live rendition is asked for again anyway; a VOD one never is, so its segments' URLs are fetched here.
    const loaded = this.#hls.levels.filter((level) => level.details && !level.details.live).map((level) => new URL(level.url[0]).pathname);
    for (const rendition of renditions) {
      if (loaded.includes(new URL(rendition).pathname)) this.#remember(await playlist(rendition));
    }
    if (this.#stopped) { // Mux had refused an older URL: go on where it was
      this.#stopped = false;
      this.#hls?.startLoad();
      this.#start();
    }
  }

  stop() {
    this.#hls?.destroy();
    this.#hls = null;
    this.#fresh.clear();
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #remember(urls) {
    for (const url of urls) this.#fresh.set(new URL(url).pathname, url);
  }

  #start() {
    this.#video.play().catch(() => {}); // the browser wants a gesture: the controls are there
  }

  #config() {
    const player = this;
    class Loader extends Hls.DefaultConfig.loader {
      load(context, config, callbacks) {
        context.url = context.type === "manifest" ? player.#manifest : player.#fresh.get(new URL(context.url).pathname) ?? context.url;
        super.load(context, config, callbacks);
      }
    }
    // Small buffers on purpose: segments are fetched again and again, so that an end of the rights is soon seen.
    return { loader: Loader, enableWorker: false, backBufferLength: 2, maxBufferLength: 8, maxMaxBufferLength: 8, capLevelToPlayerSize: true, liveSyncDurationCount: 3 };
  }

  #error(data) {
    const status = data.response?.code ?? 0;
    if (!data.fatal && status !== 403) return;
    if (this.#stopped) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && data.fatal) {
      this.#hls.recoverMediaError();
      return;
    }
    this.#stopped = true;
    const sent = data.networkDetails; // an XMLHttpRequest; segments are binary
    const text = sent?.responseType === "arraybuffer" ? new TextDecoder().decode(sent.response ?? new ArrayBuffer()) : sent?.responseText;
    const header = sent?.getResponseHeader?.("X-Muxsim-Reason");
    this.#hls.stopLoad();
    this.#on.refused({ status, ...verdict(envelope(text ?? ""), header || data.details) });
  }

  #nativeError() {
    if (this.#hls || this.#stopped || !this.#video.src || this.#video.src === this.#manifest) return;
    const at = this.#video.currentTime; // the URL ended: go on with the newest
    this.#video.src = this.#manifest;
    this.#video.currentTime = at;
    this.#start();
  }
}
