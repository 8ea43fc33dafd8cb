import type { ChannelConfig, ChatHookConfig } from "#domain/channel/config";
import { factsOf, type Notification, summaryOf } from "#domain/channel/notification";
import { signedWebhook } from "#domain/channel/signed-webhook";
import {
  codeForGoogleChat,
  escapeDiscord,
  escapeHtml,
  escapeSlack,
  oneLine,
  utf8Length,
  widest,
} from "#domain/channel/text";
import type { OutboundRequest } from "#domain/outbound/ports";

/** The largest message each service takes: in UTF-16 units, or for the last three in bytes of what is sent. */
const LIMITS = { discord: 2_000, slack: 4_000, telegram: 4_096, googlechat: 4_000, teams: 28_000, matrix: 60_000 };
/** Discord's flag for messages whose links are not expanded. */
const SUPPRESS_EMBEDS = 4;

/** The request that tells a channel of a notification (W4). `telegramUrl` is where Telegram's API is. */
export async function render(
  channel: ChannelConfig,
  notification: Notification,
  { telegramUrl }: { telegramUrl: string },
): Promise<OutboundRequest> {
  switch (channel.provider) {
    case "discord":
      return hook(channel.config, discord(notification));
    case "slack":
      return hook(channel.config, slack(notification));
    case "teams":
      return hook(channel.config, teams(notification));
    case "googlechat":
      return hook(channel.config, googleChat(notification));
    case "telegram": {
      const { bot_token: token, chat_id } = channel.config;
      return json("POST", `${telegramUrl}/bot${token}/sendMessage`, { chat_id, ...telegram(notification) });
    }
    case "matrix":
      return matrix(channel.config, notification);
    case "webhook":
      return signedWebhook(channel.config, notification);
  }
}

const json = (method: "POST" | "PUT", url: string, body: unknown, headers: Record<string, string> = {}) => ({
  method,
  url,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

const hook = ({ webhook_url: url }: ChatHookConfig, body: unknown): OutboundRequest => json("POST", url, body);

type Markup = { heading: (text: string) => string; value: (text: string) => string };

/** Summary and facts, a line each; the labels are ours, the values are not. */
function lines(notification: Notification, { heading, value }: Markup, maxValue: number): string {
  const facts = factsOf(notification).map(([label, text]) => `${label}: ${value(oneLine(text, maxValue))}`);
  return [heading(summaryOf(notification.event)), ...facts].join("\n");
}

const written = (notification: Notification, limit: number, markup: Markup, size = (text: string) => text.length) =>
  widest(limit, size, (maxValue) => lines(notification, markup, maxValue));

const discord = (notification: Notification) => ({
  content: written(notification, LIMITS.discord, { heading: (text) => `**${text}**`, value: escapeDiscord }),
  allowed_mentions: { parse: [] },
  flags: SUPPRESS_EMBEDS,
});

const slack = (notification: Notification) => ({
  text: written(notification, LIMITS.slack, { heading: escapeSlack, value: escapeSlack }),
  mrkdwn: false,
  unfurl_links: false,
  unfurl_media: false,
});

const googleChat = (notification: Notification) => ({
  text: written(
    notification,
    LIMITS.googlechat,
    { heading: (text) => `*${text}*`, value: codeForGoogleChat },
    utf8Length,
  ),
});

const HTML: Markup = { heading: (text) => `<b>${escapeHtml(text)}</b>`, value: escapeHtml };
const PLAIN: Markup = { heading: (text) => text, value: (text) => text };

const telegram = (notification: Notification) => ({
  text: written(notification, LIMITS.telegram, HTML),
  parse_mode: "HTML",
  link_preview_options: { is_disabled: true },
});

/** An Adaptive Card. Values are text runs: unlike text blocks and facts these know no markup. */
const teams = (notification: Notification) =>
  widest(
    LIMITS.teams,
    (message) => utf8Length(JSON.stringify(message)),
    (maxValue) => ({
      type: "message",
      attachments: [
        {
          contentType: "application/vnd.microsoft.card.adaptive",
          contentUrl: null,
          content: card(notification, maxValue),
        },
      ],
    }),
  );

function card(notification: Notification, maxValue: number) {
  const run = (text: string, more = {}) => ({ type: "TextRun", text, ...more });
  const block = (...inlines: unknown[]) => ({ type: "RichTextBlock", inlines });
  return {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [
      block(run(summaryOf(notification.event), { weight: "Bolder", size: "Medium" })),
      ...factsOf(notification).map(([label, text]) =>
        block(run(`${label}: `, { weight: "Bolder" }), run(oneLine(text, maxValue))),
      ),
    ],
  };
}

type MatrixConfig = Extract<ChannelConfig, { provider: "matrix" }>["config"];

/** The delivery's id is the transaction's, so that a homeserver shows a repeated notification once. */
function matrix(config: MatrixConfig, notification: Notification): OutboundRequest {
  const { origin, pathname } = new URL(config.homeserver_url);
  const [base, room] = [origin + pathname.replace(/\/+$/, ""), encodeURIComponent(config.room_id)];
  const content = widest(
    LIMITS.matrix,
    (message) => utf8Length(JSON.stringify(message)),
    (maxValue) => ({
      msgtype: "m.notice",
      body: lines(notification, PLAIN, maxValue),
      format: "org.matrix.custom.html",
      formatted_body: lines(notification, HTML, maxValue).replaceAll("\n", "<br>"),
      "m.mentions": {},
    }),
  );
  return json(
    "PUT",
    `${base}/_matrix/client/v3/rooms/${room}/send/m.room.message/${notification.deliveryId}`,
    content,
    { authorization: `Bearer ${config.access_token}` },
  );
}
