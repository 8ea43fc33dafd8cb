CREATE TABLE `audit_entries` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text,
	`actor_kind` text NOT NULL,
	`actor_id` text NOT NULL,
	`credential_id` text,
	`action` text NOT NULL,
	`subject_type` text NOT NULL,
	`subject_id` text NOT NULL,
	`result` text DEFAULT 'ok' NOT NULL,
	`request_id` text,
	`metadata` text DEFAULT '{}' NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `audit_team` ON `audit_entries` (`team_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `audit_subject` ON `audit_entries` (`subject_id`);--> statement-breakpoint
CREATE TABLE `hosts` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text,
	`type` text NOT NULL,
	`status` text NOT NULL,
	`provider` text,
	`availability_zone` text,
	`address` text,
	`arch` text,
	`cpu_cores` integer,
	`memory_mb` integer,
	`disk_gb` integer,
	`capabilities` text DEFAULT '{}' NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`last_heartbeat_at` integer
);
--> statement-breakpoint
CREATE INDEX `hosts_placement` ON `hosts` (`type`,`status`);--> statement-breakpoint
CREATE INDEX `hosts_team` ON `hosts` (`team_id`);--> statement-breakpoint
CREATE TABLE `api_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text NOT NULL,
	`created_by` text NOT NULL,
	`name` text NOT NULL,
	`prefix` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`last_used_at` integer,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE INDEX `api_keys_team` ON `api_keys` (`team_id`,`created_at`);--> statement-breakpoint
CREATE TABLE `memberships` (
	`team_id` text NOT NULL,
	`user_id` text NOT NULL,
	`role` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`team_id`, `user_id`)
);
--> statement-breakpoint
CREATE INDEX `memberships_user` ON `memberships` (`user_id`);--> statement-breakpoint
CREATE TABLE `teams` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`slug` text NOT NULL,
	`description` text,
	`settings` text DEFAULT '{}' NOT NULL,
	`is_byoc` integer DEFAULT false NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `teams_slug` ON `teams` (`slug`);--> statement-breakpoint
CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`email` text NOT NULL,
	`username` text,
	`name` text DEFAULT '' NOT NULL,
	`avatar_url` text,
	`password_hash` text,
	`status` text DEFAULT 'inactive' NOT NULL,
	`is_platform_admin` integer DEFAULT false NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `users_email` ON `users` (`email`);--> statement-breakpoint
CREATE UNIQUE INDEX `users_username` ON `users` (`username`);--> statement-breakpoint
CREATE TABLE `sandboxes` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text NOT NULL,
	`workspace_id` text,
	`project_id` text,
	`host_id` text,
	`name` text NOT NULL,
	`template` text DEFAULT 'minimal' NOT NULL,
	`backend` text DEFAULT 'host' NOT NULL,
	`status` text NOT NULL,
	`status_reason` text,
	`vcpus` integer DEFAULT 1 NOT NULL,
	`memory_mb` integer DEFAULT 512 NOT NULL,
	`disk_size_mb` integer DEFAULT 5120 NOT NULL,
	`timeout_sec` integer DEFAULT 0 NOT NULL,
	`metadata` text DEFAULT '{}' NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`last_active_at` integer,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `sandboxes_team` ON `sandboxes` (`team_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `sandboxes_host` ON `sandboxes` (`host_id`,`status`);--> statement-breakpoint
CREATE INDEX `sandboxes_workspace` ON `sandboxes` (`workspace_id`);--> statement-breakpoint
CREATE TABLE `runs` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text NOT NULL,
	`workspace_id` text NOT NULL,
	`session_id` text NOT NULL,
	`status` text NOT NULL,
	`trigger_type` text NOT NULL,
	`agent_name` text NOT NULL,
	`error_code` text,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`ended_at` integer,
	`published_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `runs_session` ON `runs` (`session_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `runs_team` ON `runs` (`team_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `runs_status` ON `runs` (`status`,`published_at`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text NOT NULL,
	`workspace_id` text NOT NULL,
	`sandbox_id` text NOT NULL,
	`parent_session_id` text,
	`subject_ref` text NOT NULL,
	`agent_name` text,
	`active_agent_name` text NOT NULL,
	`model_ref` text,
	`title` text,
	`status` text DEFAULT 'active' NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`last_run_at` integer
);
--> statement-breakpoint
CREATE INDEX `sessions_workspace` ON `sessions` (`workspace_id`,`updated_at`);--> statement-breakpoint
CREATE INDEX `sessions_team` ON `sessions` (`team_id`,`updated_at`);--> statement-breakpoint
CREATE TABLE `workspaces` (
	`id` text PRIMARY KEY NOT NULL,
	`team_id` text NOT NULL,
	`sandbox_id` text NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`runtime` text,
	`external_ref` text,
	`owner_id` text,
	`service_name` text,
	`folder_path` text,
	`execution_policy` text DEFAULT 'local' NOT NULL,
	`status` text DEFAULT 'active' NOT NULL,
	`read_only` integer DEFAULT false NOT NULL,
	`settings` text DEFAULT '{}' NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `workspaces_team` ON `workspaces` (`team_id`,`updated_at`);--> statement-breakpoint
CREATE INDEX `workspaces_sandbox` ON `workspaces` (`sandbox_id`);