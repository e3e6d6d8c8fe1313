// Takes the picture of the demo that the README shows: a premium viewer's film
// at its fifth second, with its token and the pictures of its other tokens.
//
// in: {browser: {executable, profile}, demo, file}
import { writeFileSync } from "node:fs";
import { launch } from "./browser.mjs";
import { input, until } from "./kit.mjs";

const { browser, demo, file } = input();
const context = await launch(browser);
const page = await context.newPage();
await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
await page.setViewportSize({ width: 1280, height: 820 });
await page.goto(`${demo}?viewer=premium&video=premiere&autoplay`);
await until("playing", async () => (await page.locator("#status").getAttribute("data-state")) === "playing");
await until("the pictures", () => page.evaluate(() => document.getElementById("poster").naturalWidth && document.querySelector("#storyboard button")));
await page.evaluate(() => new Promise((done) => {
  const video = document.getElementById("player");
  video.pause();
  video.addEventListener("seeked", done, { once: true });
  video.currentTime = 5;
}));
await page.evaluate(() => { scrollTo(0, 0); document.activeElement?.blur(); });
const png = await page.screenshot();

// Chromium is the encoder, so that no other program is needed.
const blank = await context.newPage();
const webp = await blank.evaluate(async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", 0.85).split(",")[1];
}, `data:image/png;base64,${png.toString("base64")}`);
writeFileSync(file, Buffer.from(webp, "base64"));
await context.close();
