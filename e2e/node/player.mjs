// Puts the real <mux-player> on a page, once per case, and reports what it
// plays, what it asks for and what it complains about.
//
// in:  {browser: {executable, profile, hosts}, page, screenshots,
//       cases: [{name, attributes, want: "plays" | "fails" | "asks", path, seek}]}
// out: [{name, played, frames, errors, console, answers, failed, cues}]
import { advances, launch, watch } from "./browser.mjs";
import { answer, input, until } from "./kit.mjs";

const { browser, page: address, screenshots, cases } = input();
const context = await launch(browser);

async function run({ name, attributes, want, path, seek }) {
  const page = await context.newPage();
  const seen = watch(page);
  await page.goto(address);
  await page.waitForFunction(() => Boolean(customElements.get("mux-player")));
  await page.evaluate((all) => {
    // As a page writes it: one tag with all its attributes.
    const holder = document.createElement("div");
    const quote = (value) => value.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
    holder.innerHTML = `<mux-player ${Object.entries(all).map(([name, value]) => `${name}="${quote(value)}"`).join(" ")}></mux-player>`;
    const player = holder.firstChild;
    globalThis.errors = [];
    player.addEventListener("error", ({ detail }) => {
      const { code, muxCode, fatal, message, context: more, errorCategory } = detail ?? player.error ?? {};
      globalThis.errors.push({ code, muxCode, fatal, category: errorCategory, message: `${message} ${more ?? ""}` });
    });
    document.body.append(player);
  }, { muted: "", "disable-tracking": "", "metadata-video-title": name, ...attributes });
  const errors = () => page.evaluate(() => globalThis.errors);
  const result = { name };
  const now = async () => `${JSON.stringify(await errors())} ${JSON.stringify(seen.console)} ${JSON.stringify(seen.answers.slice(-20))} ${JSON.stringify(seen.failed)}`;
  try {
    if (want === "plays") {
      await page.evaluate(() => document.querySelector("mux-player").play());
      Object.assign(result, await advances(page, "mux-player", 2));
    } else if (want === "fails") {
      await until("an error", async () => (await errors()).length);
    }
    if (path) await until(`an answer for ${path}`, () => seen.answers.some((a) => a.path === path));
    if (seek) await hover(page, seen, result);
  } catch (error) {
    throw new Error(`${name}: ${error.message}\n${await now()}`);
  }
  if (screenshots) await page.screenshot({ path: `${screenshots}/${name.replaceAll(/\W+/g, "-")}.png` });
  Object.assign(result, { errors: await errors(), console: seen.console, answers: seen.answers, failed: seen.failed });
  await page.close();
  return result;
}

// hover moves the pointer over the time line, which shows the storyboard.
async function hover(page, seen, result) {
  result.cues = await until("the storyboard's cues", () => page.evaluate(() => {
    const tracks = [...document.querySelector("mux-player").media.textTracks];
    return tracks.find((t) => t.kind === "metadata" && t.label === "thumbnails")?.cues?.length ?? 0;
  }));
  const bar = page.locator("mux-player media-time-range").first();
  await until("the storyboard's picture", async () => {
    await bar.hover({ position: { x: 200, y: 2 }, force: true, timeout: 2000 }).catch(() => {});
    return seen.answers.some((a) => /\/storyboard\.(webp|jpg|png)$/.test(a.path));
  });
}

// A few at once: decoding takes its time where there is no GPU.
const results = [];
const waiting = cases.map((one, n) => [one, n]);
await Promise.all([1, 2, 3, 4].map(async () => {
  for (let next = waiting.shift(); next; next = waiting.shift()) results[next[1]] = await run(next[0]);
}));
await context.close();
answer(results);
