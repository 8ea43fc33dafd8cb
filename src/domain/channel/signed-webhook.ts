import { Webhook } from "standardwebhooks";
import type { WebhookConfig } from "#domain/channel/config";
import { eventBody, type Notification } from "#domain/channel/notification";
import type { OutboundRequest } from "#domain/outbound/ports";
import { hmacSha256 } from "#kernel/digest";
import { iso } from "#kernel/time";

const STANDARD_SECRET = /^whsec_(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * The request of a webhook, signed in two ways with one secret (platform R358). `X-WRENN-SIGNATURE` is keyed with the
 * secret's text. The headers of Standard Webhooks are keyed with the bytes behind `whsec_` where the secret has that
 * form, as generated ones do, and else with the secret's text too.
 */
export async function signedWebhook(config: WebhookConfig, notification: Notification): Promise<OutboundRequest> {
  const { deliveryId, event, sentAt } = notification;
  const body = eventBody(event);
  const timestamp = iso(sentAt);
  const signature = await hmacSha256(config.secret, `${timestamp}.${body}`);
  return {
    method: "POST",
    url: config.url,
    headers: {
      "content-type": "application/json",
      "X-WRENN-SIGNATURE": `sha256=${signature}`,
      "X-Wrenn-Timestamp": timestamp,
      "X-Wrenn-Delivery": deliveryId,
      "webhook-id": deliveryId,
      "webhook-timestamp": String(Math.floor(sentAt / 1000)),
      "webhook-signature": standardSigner(config.secret).sign(deliveryId, new Date(sentAt), body),
    },
    body,
  };
}

const standardSigner = (secret: string): Webhook =>
  STANDARD_SECRET.test(secret) ? new Webhook(secret) : new Webhook(new TextEncoder().encode(secret), { format: "raw" });
