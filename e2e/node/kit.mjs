// What the scripts share: JSON in on standard input, JSON out on standard
// output, and a deadline of their own. Whatever goes wrong ends the script with
// a message on standard error and status 1.
import { readFileSync } from "node:fs";

// A test that was killed must not leave its script behind.
setTimeout(() => fail("the script did not end within 120 s"), 120_000).unref();

process.on("unhandledRejection", (reason) => fail(reason));
process.on("uncaughtException", (error) => fail(error));

export const input = () => JSON.parse(readFileSync(0, "utf8"));

export function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function fail(reason) {
  process.stderr.write(`${reason?.stack ?? reason}\n`);
  process.exit(1);
}

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

// until polls a question until its answer is truthy, and returns that.
export async function until(what, question, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const got = await question();
    if (got) return got;
    if (Date.now() > deadline) throw new Error(`did not come within ${seconds} s: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
