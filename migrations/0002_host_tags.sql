CREATE TABLE `host_tags` (
	`host_id` text NOT NULL,
	`tag` text NOT NULL,
	PRIMARY KEY(`host_id`, `tag`)
);
