// Writes to the page. Knows elements and texts, no requests.

import { decode, explain, shorten } from "./token.js";

export const $ = (id) => document.getElementById(id);

const element = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

export function options(select, items, chosen) {
  select.replaceChildren(...items.map((item) => element("option", { value: item.name }, item.title)));
  if (items.some((item) => item.name === chosen)) select.value = chosen;
}

// about writes a line per choice.
export function about(...things) {
  $("about").replaceChildren(...things.filter(Boolean).map((thing) => element("span", {}, element("b", {}, `${thing.title}.`), ` ${thing.about}`)));
}

export function status(state, text) {
  const node = $("status");
  node.dataset.state = state;
  if (node.textContent !== text) node.textContent = text;
}

// refusal says who refused and why, over the picture; as a banner where the
// picture plays on. Without a code it goes away.
export function refusal(by, code, message, banner = false) {
  $("refusal").hidden = !code;
  $("refusal").classList.toggle("banner", banner);
  $("reason").textContent = code ?? "";
  $("reason").dataset.by = code ? by : "";
  $("message").textContent = message ?? "";
  $("refused-by").textContent = `${by === "mux" ? "Mux" : "The gateway"} refused${banner ? " the renewal" : ""}`;
}

const valueText = (name, value) => {
  if (["exp", "iat", "nbf"].includes(name)) return `${value} (${new Date(value * 1000).toLocaleTimeString()})`;
  return typeof value === "string" ? value : JSON.stringify(value);
};

// breakable lets a long name wrap behind its underscores.
const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, element("wbr")]);

function claimRows(body, claims, viewer) {
  body.replaceChildren(...Object.entries(claims).map(([name, value]) => element(
    "tr", { "data-claim": name, "data-value": typeof value === "string" ? value : JSON.stringify(value) },
    element("th", { scope: "row" }, ...breakable(name)),
    element("td", {}, element("span", { class: "value" }, valueText(name, value)), element("span", { class: "note" }, explain(name, value, viewer))),
  )));
}

export function viewer(about, jwt) {
  $("who").textContent = about;
  claimRows($("viewer-claims"), decode(jwt).claims, true);
}

// token shows one decoded token.
export function token(item) {
  for (const tab of $("tokens").children) {
    const on = tab.dataset.type === item?.type;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
  }
  const compact = item?.token ?? "";
  $("header").hidden = !compact;
  if (!compact) {
    $("compact").textContent = item ? "A public playback ID takes no token." : "No token.";
    $("claims").replaceChildren();
    return;
  }
  const { header, claims } = decode(compact);
  const parts = compact.split(".").map((part, i) => element("span", { class: "hps"[i] }, i === 2 ? `${part.slice(0, 24)}…` : `${part.slice(0, 40)}${part.length > 40 ? "…" : ""}`));
  $("compact").replaceChildren(parts[0], ".", parts[1], ".", parts[2]);
  $("header").textContent = JSON.stringify(header);
  claimRows($("claims"), claims, false);
}

// tokens makes a tab per token; arrow keys move between them.
export function tokens(items, show) {
  $("tokens").replaceChildren(...items.map((item) => {
    const tab = element("button", { type: "button", role: "tab", "data-type": item.type, "aria-controls": "token-panel" }, item.type);
    tab.addEventListener("click", () => show(item.type));
    return tab;
  }));
}

export function facts(answer) {
  const data = answer?.body?.data;
  $("cache").textContent = answer?.cache || "–";
  $("cache").dataset.cache = answer?.cache ?? "";
  $("rule").textContent = data?.rule || "–";
  $("key").textContent = data?.key_id || "–";
  $("key").title = data?.key_id || "";
}

const clock = (seconds) => (seconds <= 0 ? "now" : `${Math.ceil(seconds)} s`);

// life draws the token's remaining life; null times mean that there is no end.
export function life({ exp, refresh, since, renews }, now) {
  const countdown = $("countdown");
  countdown.dataset.exp = exp ?? "";
  countdown.dataset.refresh = refresh ?? "";
  const bar = $("life-bar");
  if (!exp) {
    countdown.textContent = $("refresh").textContent = "–";
    bar.style.width = "0";
    $("life-mark").hidden = true;
    return;
  }
  const left = exp - now;
  const share = Math.max(0, Math.min(1, left / (exp - since)));
  countdown.textContent = left > 0 ? clock(left) : "expired";
  $("refresh").textContent = refresh && renews ? clock(refresh - now) : "never";
  bar.style.width = `${share * 100}%`;
  bar.dataset.level = left <= 0 ? "gone" : refresh && now >= refresh ? "low" : "";
  $("life-mark").hidden = !refresh;
  if (refresh) $("life-mark").style.left = `${Math.min(99, ((exp - refresh) / (exp - since)) * 100)}%`;
}

const maxEdgeLines = 30;

// edge adds one of Mux's answers, newest first.
export function edge(what, answer) {
  const list = $("edge");
  list.querySelector(".none")?.remove();
  list.prepend(element(
    "li", { "data-status": answer.status, "data-reason": answer.reason },
    element("b", {}, String(answer.status || "–")), element("code", {}, answer.reason), element("span", {}, answer.detail ? `${what}: ${answer.detail}` : what),
  ));
  while (list.children.length > maxEdgeLines) list.lastChild.remove();
}

// shortened replaces compact JWTs wherever they stand.
const shortened = (text) => text.replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, shorten);

export function call(jwt, body, answer) {
  $("request").textContent = `POST /v1/tokens\nAuthorization: Bearer ${shorten(jwt)}\nContent-Type: application/json\n\n${JSON.stringify(body, null, 2)}`;
  const head = [`${answer.status} ${answer.statusText}`];
  if (answer.cache) head.push(`X-Playgate-Cache: ${answer.cache}`);
  if (answer.requestID) head.push(`X-Request-Id: ${answer.requestID}`);
  if (answer.retryAfter) head.push(`Retry-After: ${answer.retryAfter}`);
  $("answer").textContent = `${head.join("\n")}\n\n${shortened(JSON.stringify(answer.body, null, 2))}`;
}

const seek = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// storyboard makes at most eight buttons out of a storyboard's WebVTT.
export function storyboard(vtt, onSeek) {
  const cues = [...vtt.matchAll(/(\d+):(\d+):([\d.]+) -->.*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g)];
  const columns = Math.max(...cues.map((cue) => cue[5] / cue[7])) + 1;
  const shown = cues.filter((_, i) => i % Math.ceil(cues.length / 8) === 0);
  $("storyboard").replaceChildren(...shown.map(([, h, m, s, url, x, y, w, height]) => {
    const at = Number(h) * 3600 + Number(m) * 60 + Number(s);
    const scale = 72 / Number(height);
    const tile = element("div", { class: "tile" });
    Object.assign(tile.style, {
      width: `${w * scale}px`, height: `${height * scale}px`, backgroundImage: `url("${url}")`,
      backgroundSize: `${w * scale * columns}px auto`, backgroundPosition: `-${x * scale}px -${y * scale}px`,
    });
    const button = element("button", { type: "button", "aria-label": `Seek to ${seek(at)}` }, tile, element("span", {}, seek(at)));
    button.addEventListener("click", () => onSeek(at));
    return button;
  }));
}
