// A headless Chromium that knows only the hosts it is told: every other name
// does not resolve, so that nothing can reach the network.
import { mkdirSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { until } from "./kit.mjs";

// launch starts the browser with an empty profile. hosts maps a host name to a
// loopback address with a port; certificates are not looked at, since the
// servers behind the names are the test's own.
export async function launch({ executable, profile, hosts }) {
  // Cookies of other sites are sent, as by most browsers, so that the gateway's own defences are what is seen.
  mkdirSync(`${profile}/Default`);
  writeFileSync(`${profile}/Default/Preferences`, JSON.stringify({ profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }));
  const rules = Object.entries(hosts ?? {}).map(([host, address]) => `MAP ${host} ${address}`);
  return chromium.launchPersistentContext(profile, {
    executablePath: executable,
    headless: true,
    viewport: { width: 1280, height: 900 },
    ignoreHTTPSErrors: true,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--ignore-certificate-errors",
      `--host-resolver-rules=${[...rules, "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"].join(",")}`,
    ],
  });
}

// watch collects what a page says and asks for. Answers are kept without the
// token, but with what the simulated Mux says of it.
export function watch(page) {
  const seen = { console: [], failed: [], answers: [], navigations: 0 };
  const bare = (url) => {
    const u = new URL(url);
    if (u.searchParams.has("token")) u.searchParams.set("token", "…");
    return decodeURIComponent(u.href);
  };
  page.on("console", (message) => seen.console.push({ type: message.type(), text: message.text() }));
  page.on("pageerror", (error) => seen.console.push({ type: "exception", text: String(error) }));
  page.on("requestfailed", (request) => seen.failed.push({ url: bare(request.url()), why: request.failure()?.errorText ?? "" }));
  page.on("framenavigated", (frame) => { if (frame === page.mainFrame()) seen.navigations++; });
  page.on("response", (response) => {
    if (/^(data|blob):/.test(response.url())) return;
    const { host, pathname } = new URL(response.url());
    const header = response.headers();
    seen.answers.push({
      url: bare(response.url()), host, path: pathname, method: response.request().method(),
      status: response.status(), reason: header["x-muxsim-reason"] ?? "",
    });
  });
  return seen;
}

// advances waits until a video has really played for some seconds: time went by
// and frames were shown. Seeks, to a live edge or back in a loop, do not count.
export async function advances(page, selector, seconds) {
  const read = () => page.evaluate((which) => {
    const element = document.querySelector(which);
    const video = element.media?.nativeEl ?? element;
    return { time: element.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames };
  }, selector);
  const first = await read();
  let last = first;
  let played = 0;
  await until(`${seconds} s of video`, async () => {
    const now = await read();
    const step = now.time - last.time;
    if (step > 0 && step < 1) played += step;
    last = now;
    return played >= seconds && now.frames > first.frames;
  });
  return { played, frames: last.frames - first.frames };
}
