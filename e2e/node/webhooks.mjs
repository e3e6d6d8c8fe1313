// Asks Mux's official SDK whether it accepts webhooks as they are sent.
//
// in:  {secret, deliveries: [{body, signature}]}
// out: per delivery, "" where it is accepted, else why not
import { Mux } from "@mux/mux-node";
import { answer, input } from "./kit.mjs";

const { secret, deliveries } = input();
const mux = new Mux({ tokenId: "unused", tokenSecret: "unused", jwtSigningKey: "unused", jwtPrivateKey: "unused", webhookSecret: secret });

const verdicts = [];
for (const { body, signature } of deliveries) {
  try {
    await mux.webhooks.verifySignature(body, { "mux-signature": signature });
    verdicts.push("");
  } catch (error) {
    verdicts.push(String(error.message));
  }
}
answer(verdicts);
