// The page's story: choose, ask the gateway, play, renew, be refused.

import * as api from "./api.js";
import { Player, Refused } from "./player.js";
import { extend } from "./token.js";
import * as view from "./view.js";

const { $ } = view;
const now = () => Date.now() / 1000;

const state = {
  viewers: [],
  videos: [],
  policies: [],
  session: null, // {token, viewer, expires_at}
  request: null, // the body of the last call
  data: null, // the last answer's data
  shown: "video", // the token on display
  since: 0, // when the last answer came
  retryAt: 0, // after 429 and 503
  refusedRenewal: false,
  renewals: 0,
  past: [], // video URLs handed out since Play, oldest first
  round: 0, // counts Plays, so that late answers of an older one are dropped
  busy: false,
};

const player = new Player($("player"), {
  manifest: () => view.edge("Manifest", { status: 200, reason: "ok", detail: "" }),
  rendition: (name) => { $("rendition").textContent = name; $("rendition").hidden = false; },
  refused: stopped,
});

// stopped shows Mux's no.
function stopped(answer) {
  view.edge("The player", answer);
  view.refusal("mux", answer.reason, answer.detail);
  view.status("stopped", `Mux stopped the playback: ${answer.reason}.`);
}

const video = () => state.videos.find((v) => v.name === $("video").value);
const viewer = () => state.viewers.find((v) => v.name === $("viewer").value);
const item = (type) => state.data?.tokens.find((t) => t.type === type);

function describe() {
  view.about(viewer(), video());
}

// ask mints tokens for the chosen video, with a viewer's JWT that still lives.
async function ask() {
  const who = viewer();
  if (state.session?.viewer.name !== who.name || state.session.expires_at < now() + 5) {
    state.session = await api.session(who.name);
    view.viewer(who.about, state.session.token);
  }
  const answer = await api.mint(state.session.token, state.request);
  view.call(state.session.token, state.request, answer);
  return answer;
}

// accept takes an answer's tokens over.
function accept(answer) {
  state.data = answer.body.data;
  state.since = now();
  state.retryAt = 0;
  state.refusedRenewal = false;
  const playback = item("video");
  if (playback?.token) state.past.push(playback);
  view.facts(answer);
  view.tokens(state.data.tokens, show);
  show(item(state.shown) ? state.shown : "video");
  pictures();
  for (const id of ["tamper", "wrong-video"]) $(id).disabled = !playback?.token;
  $("wrong-use").disabled = !item("thumbnail")?.token;
  $("renew").disabled = false;
}

function show(type) {
  state.shown = type;
  view.token(item(type));
}

async function pictures() {
  const round = state.round;
  const poster = item("thumbnail");
  if (poster && $("poster").hidden) { // once per Play: pictures already shown need no fresh token
    $("poster").src = poster.url;
    $("poster").hidden = false;
    $("player").poster = poster.url;
  }
  const board = item("storyboard");
  if (!board || $("storyboard").childElementCount > 0) return;
  const response = await fetch(board.url);
  if (response.ok && round === state.round) view.storyboard(await response.text(), (at) => { $("player").currentTime = at; });
}

function clear() {
  state.round++;
  player.stop();
  Object.assign(state, { data: null, renewals: 0, past: [], retryAt: 0, refusedRenewal: false });
  view.refusal("gateway", "", "");
  view.facts(null);
  view.tokens([], show);
  view.token(null);
  $("renewals").textContent = "0";
  $("rendition").hidden = $("poster").hidden = true;
  $("poster").removeAttribute("src");
  $("player").removeAttribute("poster");
  $("storyboard").replaceChildren();
  for (const id of ["tamper", "wrong-video", "wrong-use", "expired", "renew"]) $(id).disabled = true;
}

const refusalOf = (answer) => ({
  code: answer.body.error?.code || answer.body.error?.type || `status ${answer.status}`,
  message: answer.body.error?.messages?.[0] ?? "",
});

async function play() {
  clear();
  const round = state.round;
  const what = video();
  state.request = { playback_id: what.playback_id, types: what.types };
  view.status("asking", "Asking the gateway for tokens…");
  try {
    const answer = await ask();
    if (round !== state.round) return;
    if (!answer.ok) {
      const { code, message } = refusalOf(answer);
      view.refusal("gateway", code, message);
      view.status("refused", `Refused with ${answer.status}: ${code}.`);
      return;
    }
    accept(answer);
    player.load(item("video").url, { live: what.live });
    view.status("playing", item("video").token ? "Playing with a token that lives for seconds." : "Playing a public video, which takes no token.");
    if (item("drm_license")) view.edge("Widevine licence", await api.probe(item("drm_license").url, "POST"));
  } catch (error) {
    view.status("error", `The demo is out of order: ${error.message}`);
  }
}

// renew asks again while the video plays on. A refusal does not stop what was
// granted before: the token runs out, and then Mux stops it.
async function renew() {
  if (state.busy || !state.data) return;
  state.busy = true;
  const round = state.round;
  try {
    const answer = await ask();
    if (round !== state.round) return;
    if (answer.ok) {
      accept(answer);
      state.renewals++;
      $("renewals").textContent = String(state.renewals);
      const resumed = $("status").dataset.state === "stopped";
      await player.renew(item("video").url);
      view.refusal("gateway", "", "");
      view.status("playing", resumed ? "Renewed, and playing on where Mux had stopped."
        : `Renewed ${state.renewals} ${state.renewals === 1 ? "time" : "times"}; the video never stopped.`);
      return;
    }
    const { code, message } = refusalOf(answer);
    if (answer.retryAfter) {
      state.retryAt = now() + answer.retryAfter;
      view.status("ending", `Not renewed (${code}); asking again in ${answer.retryAfter} s.`);
      return;
    }
    state.refusedRenewal = true;
    if ($("status").dataset.state === "stopped") return;
    view.refusal("gateway", code, message, true);
    view.status("ending", `Renewal refused with ${answer.status}: ${code}. The token in hand runs out, then Mux stops.`);
  } catch (error) {
    if (error instanceof Refused) {
      if (round === state.round) stopped(error.answer);
      return;
    }
    state.retryAt = now() + 3;
    if (round === state.round) view.status("ending", `Not renewed (${error.message}); asking again in 3 s.`);
  } finally {
    state.busy = false;
  }
}

// tick runs four times a second: it draws the countdown and keeps time.
function tick() {
  const token = item("video");
  const renews = $("autorenew").checked && !state.refusedRenewal;
  view.life({ exp: token?.expires_at, refresh: token?.refresh_at, since: state.since, renews }, now());
  const due = token?.refresh_at && now() >= Math.max(token.refresh_at, state.retryAt);
  if (due && renews && $("status").dataset.state !== "stopped") renew();
  $("expired").disabled = !state.past.some((t) => t.expires_at < now());
}

async function breakIt(what, url) {
  view.edge(what, await api.probe(url));
}

function wireBreaking() {
  const withToken = (url, token) => {
    const u = new URL(url);
    u.searchParams.set("token", token);
    return u.href;
  };
  $("tamper").addEventListener("click", () => {
    const { url, token } = item("video");
    breakIt("Extended by a day", withToken(url, extend(token, 86400)));
  });
  $("wrong-video").addEventListener("click", () => {
    const { url, token } = item("video");
    const own = video();
    const other = state.videos.find((v) => v.environment === own.environment && v.name !== own.name && v.policy === "signed" && !v.live)
      ?? state.videos.find((v) => v.name !== own.name && v.policy === "signed" && !v.live);
    breakIt(`Used for “${other.title}”`, withToken(url.replace(own.playback_id, other.playback_id), token));
  });
  $("wrong-use").addEventListener("click", () => breakIt("The thumbnail token", withToken(item("video").url, item("thumbnail").token)));
  $("expired").addEventListener("click", () => breakIt("An older token", state.past.find((t) => t.expires_at < now()).url));
}

function showPolicies({ active, policies }) {
  state.policies = policies;
  view.options($("policy"), policies, active);
  const rules = policies.find((p) => p.name === active);
  $("rules-name").textContent = rules.title;
  $("rules").textContent = rules.document;
}

async function switchPolicy() {
  const wanted = $("policy").value;
  try {
    showPolicies(await api.switchPolicy(wanted));
    state.refusedRenewal = false; // other rules may say yes
    if (state.data) view.status($("status").dataset.state, `Rules are now “${wanted}”. They speak at the next request: the renewal, or Play.`);
  } catch (error) {
    view.status("error", `The rules were not switched: ${error.message}`);
    showPolicies(await api.policies());
  }
}

function wireTheme() {
  const root = document.documentElement;
  $("theme").addEventListener("click", () => {
    const dark = getComputedStyle(root).colorScheme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = dark ? "light" : "dark";
  });
}

function wireTabs() {
  $("tokens").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...$("tokens").children];
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
}

async function start() {
  wireTheme();
  wireTabs();
  wireBreaking();
  $("poster").addEventListener("error", () => { $("poster").hidden = true; });
  const query = new URLSearchParams(location.search);
  try {
    const [catalogue, policies] = await Promise.all([api.catalogue(), api.policies()]);
    Object.assign(state, catalogue);
    showPolicies(policies);
  } catch (error) {
    view.status("error", `The demo is out of order: ${error.message}`);
    return;
  }
  view.options($("viewer"), state.viewers, query.get("viewer"));
  view.options($("video"), state.videos, query.get("video"));
  describe();
  $("viewer").addEventListener("change", describe);
  $("video").addEventListener("change", describe);
  $("policy").addEventListener("change", switchPolicy);
  $("renew").addEventListener("click", renew);
  $("choices").addEventListener("submit", (event) => { event.preventDefault(); play(); });
  setInterval(tick, 250);
  if (query.has("autoplay")) play();
}

start();
