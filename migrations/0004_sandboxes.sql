CREATE TABLE `builds` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`base_template` text NOT NULL,
	`spec` text NOT NULL,
	`status` text NOT NULL,
	`error` text,
	`sandbox_id` text,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer
);
--> statement-breakpoint
CREATE INDEX `builds_time` ON `builds` (`created_at`);--> statement-breakpoint
CREATE TABLE `templates` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text NOT NULL,
	`name` text NOT NULL,
	`type` text NOT NULL,
	`vcpus` integer,
	`memory_mb` integer,
	`size_bytes` integer DEFAULT 0 NOT NULL,
	`manifest` text,
	`default_env` text DEFAULT '{}' NOT NULL,
	`default_user` text,
	`metadata` text DEFAULT '{}' NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `templates_name` ON `templates` (`team_id`,`name`);--> statement-breakpoint
CREATE INDEX `templates_team` ON `templates` (`team_id`,`created_at`);--> statement-breakpoint
ALTER TABLE `sandboxes` ADD `template_id` text;--> statement-breakpoint
ALTER TABLE `sandboxes` ADD `machine` text;--> statement-breakpoint
INSERT INTO `templates` (`id`, `team_id`, `name`, `type`, `created_by`, `created_at`) VALUES ('tpl_00000000000000000000', '', 'minimal', 'base', 'system', 0);
