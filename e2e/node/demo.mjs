// Walks through the demo page as a visitor does, and reports what it saw. What
// must come about is waited for; the test judges the rest.
//
// in:  {browser: {executable, profile, hosts}, demo, screenshots}
// out: {premium, attacks, refusals, plays, wall, licence, renewal, lockdown, console, failed, foreign}
import { advances, launch, watch } from "./browser.mjs";
import { answer, check, input, until } from "./kit.mjs";

const { browser, demo, screenshots } = input();
const context = await launch(browser);
const pages = [];

// open opens the page and follows it.
async function open(query = "") {
  const page = await context.newPage();
  page.seen = watch(page);
  await page.goto(demo + query);
  await until("the viewers on the page", () => page.locator("#viewer option").count());
  await page.evaluate(() => {
    // These tell whether the document or the media was ever loaded anew.
    globalThis.sameDocument = true;
    globalThis.loads = 0;
    document.getElementById("player").addEventListener("loadstart", () => { globalThis.loads++; });
  });
  pages.push(page);
  return page;
}

const text = (page, id) => page.locator(id).innerText();
const state = (page) => page.locator("#status").getAttribute("data-state");
const tells = async (page) => ({
  state: await state(page), status: await text(page, "#status"), reason: await page.locator("#reason").textContent(),
  by: await page.locator("#reason").getAttribute("data-by"), rule: await text(page, "#rule"), key: await text(page, "#key"),
  rendition: await page.locator("#rendition").textContent(), renewals: Number(await text(page, "#renewals")),
  exp: Number(await page.locator("#countdown").getAttribute("data-exp")), refresh: Number(await page.locator("#countdown").getAttribute("data-refresh")),
});
const shoot = (page, name) => screenshots && page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });

async function patiently(page, what, work) {
  try {
    return await work();
  } catch (error) {
    if (error.told) throw error;
    await shoot(page, "failed");
    const { answers, ...rest } = page.seen;
    const told = new Error(`${what}: ${error.message}\n${JSON.stringify(await tells(page))}\n${JSON.stringify(rest)}\n${JSON.stringify(answers.slice(-20))}`);
    throw Object.assign(told, { told: true });
  }
}

async function choose(page, viewer, video) {
  await page.selectOption("#viewer", viewer);
  await page.selectOption("#video", video);
  await page.click("#play");
}

const watches = (page, what, seconds = 1.5) => patiently(page, what, () => advances(page, "#player", seconds));

const plays = (page, viewer, video) => patiently(page, `${viewer} plays ${video}`, async () => {
  await choose(page, viewer, video);
  await until("playing", async () => (await state(page)) === "playing");
  await watches(page, `${viewer} watches ${video}`);
  return { viewer, video, ...(await tells(page)) };
});

const refused = (page, viewer, video) => patiently(page, `${viewer} is refused ${video}`, async () => {
  await choose(page, viewer, video);
  await until("a refusal", async () => (await state(page)) === "refused");
  return { viewer, video, ...(await tells(page)), playing: await page.evaluate(() => !document.getElementById("player").paused) };
});

// enforce switches the rule file, and waits until it is in force.
async function enforce(page, name) {
  const answered = page.waitForResponse((r) => r.url().endsWith("/demo/api/policy") && r.request().method() === "POST");
  await page.selectOption("#policy", name);
  const response = await answered;
  check(response.ok(), `switching to ${name}: status ${response.status()}`);
}

// attack presses a button that sends a bad token to Mux.
const attack = (page, id) => patiently(page, id, async () => {
  const first = page.locator("#edge li").first();
  const lines = () => page.locator("#edge li").count();
  const before = await lines();
  await page.click(id);
  await until("Mux's answer", async () => (await lines()) > before);
  return { id, status: Number(await first.getAttribute("data-status")), reason: await first.getAttribute("data-reason") };
});

// 1. A viewer's film starts first, because its renewal takes longest.
const long = await open("?viewer=free&video=short&autoplay");
await watches(long, "the free viewer's film");
const atStart = await tells(long);

// 2. Premium, by hand.
const page = await open();
const premium = await plays(page, "premium", "premiere");
premium.claims = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll("#claims tr")].map((row) => [row.dataset.claim, row.dataset.value])));
premium.header = await text(page, "#header");
premium.tabs = await page.evaluate(() => [...document.querySelectorAll("#tokens [data-type]")].map((tab) => tab.dataset.type));
await patiently(page, "the pictures", async () => {
  await until("the poster", () => page.evaluate(() => document.getElementById("poster").naturalWidth));
  await until("the storyboard", () => page.locator("#storyboard button").count());
});
await shoot(page, "premium");
const attacks = [await attack(page, "#tamper"), await attack(page, "#wrong-video"), await attack(page, "#wrong-use")];
await watches(page, "the film after the attacks");

// 3. Who gets what.
const other = await open();
const refusals = [await refused(other, "blocked", "premiere")];
await shoot(other, "blocked");
for (const [viewer, video] of [["blocked", "trailer"], ["free", "vault"], ["free", "live"], ["premium", "off-air"], ["premium", "soon"], ["premium", "lesson"], ["pupil", "vault"]]) {
  refusals.push(await refused(other, viewer, video));
}
const plain = [await plays(other, "free", "premiere"), await plays(other, "premium", "trailer"), await plays(other, "pupil", "lesson"), await plays(other, "premium", "live"), await plays(other, "premium", "vault")];
const wall = await patiently(other, "the pupil and the premiere", async () => {
  await choose(other, "pupil", "premiere");
  await until("Mux's refusal", async () => (await state(other)) === "stopped");
  await shoot(other, "wall");
  return tells(other);
});
await choose(other, "premium", "vault");
const licence = await patiently(other, "the licence", () => until("the licence", () => other.evaluate(() => {
  const line = [...document.querySelectorAll("#edge li")].find((li) => li.textContent.includes("licence"));
  return line && { status: Number(line.dataset.status), reason: line.dataset.reason };
})));
await shoot(other, "vault");
await other.close();

// 4. The first token runs out, and the film plays on.
const renewal = await patiently(long, "the renewal", async () => {
  await until("a renewal by itself", async () => (await tells(long)).renewals > 0, 45);
  const renewed = await tells(long);
  await until("the end of the first token", () => Date.now() / 1000 > atStart.exp + 1, 45);
  await watches(long, "the film after its first token's end", 3);
  const expired = await attack(long, "#expired");
  await shoot(long, "renewed");
  return {
    first: atStart, renewed, last: await tells(long), expired, navigations: long.seen.navigations,
    ...(await long.evaluate(() => ({ sameDocument: globalThis.sameDocument === true, loads: globalThis.loads, documents: performance.getEntriesByType("navigation").length }))),
  };
});

// 5. Other rules, while the premium film still plays.
const lockdown = await patiently(page, "the lockdown", async () => {
  const before = await tells(page);
  await enforce(page, "lockdown");
  await page.click("#renew");
  await until("the refusal", async () => (await page.locator("#reason").textContent()) !== "");
  const renewing = await tells(page);
  await watches(page, "the film with the token in hand");
  await shoot(page, "lockdown");
  const again = await refused(page, "premium", "premiere");
  const free = await plays(page, "free", "short");
  await enforce(page, "standard");
  const back = await plays(page, "premium", "premiere");
  return { before, renewing, again, free, back };
});

const all = (of) => pages.flatMap((p) => p.seen[of]);
const origins = new Set([new URL(demo).host, ...all("answers").filter((a) => a.reason).map((a) => a.host)]);
answer({
  premium, attacks, refusals, plays: plain, wall, licence, renewal, lockdown, console: all("console"), failed: all("failed"),
  foreign: all("answers").filter((a) => !origins.has(a.host)).map((a) => a.url),
});
await context.close();
