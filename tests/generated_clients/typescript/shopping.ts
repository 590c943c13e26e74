// A shopper's whole way by a generated client: signs in, joins a group, watches it fill, reads the receipt.
// Arguments: the API's address, a group that one more person fills, the shopper's e-mail address.

import { client } from "./client/client.gen.js";
import { getReceipt, issueTokens, joinGroup, sendCode, watchGroup } from "./client/sdk.gen.js";
import type { Group, Receipt } from "./client/types.gen.js";

const RECEIPT_LOOKS_MAX = 200;
const LOOK_EVERY_MS = 100;

const [baseUrl, groupId, email] = process.argv.slice(2) as [string, string, string];
client.setConfig({ baseUrl, throwOnError: true });

// The outbox of a developer is no part of the contract.
async function codeSentTo(address: string): Promise<string> {
  const outbox = await fetch(`${baseUrl}/dev/outbox?to=${encodeURIComponent(address)}`, {
    headers: { Accept: "application/json" },
  });
  const { items } = (await outbox.json()) as { items: { code: string }[] };
  return items[0].code;
}

async function signIn(address: string): Promise<string> {
  await sendCode({ body: { email: address }, throwOnError: true });
  const code = await codeSentTo(address);
  const { data } = await issueTokens({ body: { grant_type: "otp", email: address, code }, throwOnError: true });
  return data.access_token;
}

// Schemas cannot say yet what the data of an event is; the generated client decodes it.
async function lastOf(group: string): Promise<Group> {
  const { stream } = await watchGroup({ path: { group_id: group } });
  for await (const data of stream) {
    const seen = data as unknown as Group;
    if (seen.status !== "open") return seen;
  }
  throw new Error("the stream ended before the group did");
}

async function receiptOf(order: string): Promise<Receipt> {
  for (let look = 0; look < RECEIPT_LOOKS_MAX; look++) {
    const { data } = await getReceipt({ path: { order_id: order }, throwOnError: true });
    if (data.status === "captured") return data;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error("the order was not captured in time");
}

const token = await signIn(email);
client.setConfig({ auth: token });
const { data: placed } = await joinGroup({
  path: { group_id: groupId },
  headers: { "Idempotency-Key": "generated-client-1" },
  body: { payment_method: "pm_ok" },
  throwOnError: true,
});
const group = await lastOf(groupId);
const receipt = await receiptOf(placed.id);
console.log(JSON.stringify({ promised: placed.promised_price.amount, status: group.status, receipt }));
