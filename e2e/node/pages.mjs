// Asks for things from pages of several origins, as their scripts and pictures
// would, and reports what each page could read and what the server said.
//
// in:  {browser, cookies, calls: [{name, page, kind: "fetch" | "img", url, options, read}]}
// out: [{name, error, status, headers, body, answers: [{host, path, method, status, reason}]}]
import { launch, watch } from "./browser.mjs";
import { answer, input, until } from "./kit.mjs";

const { browser, cookies, calls } = input();
const context = await launch(browser);
await context.addCookies(cookies);

async function run({ name, page: address, kind, url, options, read }) {
  const page = await context.newPage();
  const seen = watch(page);
  await page.goto(address);
  seen.answers.length = 0;
  const got = await page.evaluate(async ([what, where, how, names]) => {
    if (what === "img") {
      const image = new Image();
      const loaded = new Promise((resolve) => { image.onload = () => resolve(""); image.onerror = () => resolve("the picture does not load"); });
      image.src = where;
      return { error: await loaded };
    }
    try {
      const response = await fetch(where, how);
      return {
        error: "", status: response.status, body: await response.text(),
        headers: Object.fromEntries((names ?? []).map((header) => [header, response.headers.get(header) ?? ""])),
      };
    } catch (error) {
      return { error: String(error) };
    }
  }, [kind, url, options, read]);
  await until("an answer to be seen", () => seen.answers.length > 0 || seen.failed.length > 0);
  const result = { name, ...got, answers: seen.answers, failed: seen.failed };
  await page.close();
  return result;
}

const results = [];
for (const call of calls) results.push(await run(call));
await context.close();
answer(results);
