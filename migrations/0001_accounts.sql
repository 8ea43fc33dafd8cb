CREATE TABLE `channels` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text NOT NULL,
	`name` text NOT NULL,
	`provider` text NOT NULL,
	`config` text NOT NULL,
	`events` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `channels_name` ON `channels` (`team_id`,`name`);--> statement-breakpoint
CREATE TABLE `mails` (
	`id` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`sealed` text NOT NULL,
	`created_at` integer NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`due_at` integer,
	`sent_at` integer
);
--> statement-breakpoint
CREATE INDEX `mails_due` ON `mails` (`due_at`);--> statement-breakpoint
CREATE INDEX `mails_time` ON `mails` (`created_at`);--> statement-breakpoint
CREATE TABLE `team_events` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`team_id` text,
	`type` text NOT NULL,
	`payload` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `team_events_id_unique` ON `team_events` (`id`);--> statement-breakpoint
CREATE INDEX `team_events_team` ON `team_events` (`team_id`,`seq`);--> statement-breakpoint
CREATE INDEX `team_events_time` ON `team_events` (`created_at`);--> statement-breakpoint
CREATE TABLE `one_time_tokens` (
	`hash` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`user_id` text,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `one_time_tokens_user` ON `one_time_tokens` (`user_id`,`kind`);--> statement-breakpoint
CREATE INDEX `one_time_tokens_expiry` ON `one_time_tokens` (`expires_at`);--> statement-breakpoint
CREATE TABLE `user_providers` (
	`provider` text NOT NULL,
	`subject` text NOT NULL,
	`user_id` text NOT NULL,
	`email` text,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`provider`, `subject`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `user_providers_user` ON `user_providers` (`user_id`,`provider`);--> statement-breakpoint
DROP INDEX `audit_team`;--> statement-breakpoint
ALTER TABLE `audit_entries` ADD `actor_name` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `audit_entries` ADD `scope` text DEFAULT 'team' NOT NULL;--> statement-breakpoint
CREATE INDEX `audit_time` ON `audit_entries` (`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `audit_team` ON `audit_entries` (`team_id`,`created_at`,`id`);--> statement-breakpoint
ALTER TABLE `api_keys` ADD `secret_hash` text DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE INDEX `api_keys_user` ON `api_keys` (`created_by`);--> statement-breakpoint
ALTER TABLE `memberships` ADD `is_default` integer DEFAULT false NOT NULL;