/** Storage of one session, append-only like every list of `migrate`. */
export const SESSION_TABLES = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE runs (n INTEGER PRIMARY KEY, record TEXT NOT NULL, unpublished INTEGER NOT NULL DEFAULT 0);
   CREATE INDEX runs_unpublished ON runs (unpublished) WHERE unpublished > 0;
   CREATE TABLE messages (
     n INTEGER PRIMARY KEY, created_at INTEGER NOT NULL UNIQUE, run_id TEXT, role TEXT NOT NULL, origin TEXT NOT NULL,
     mode TEXT, content TEXT NOT NULL, metadata TEXT);
   CREATE TABLE steps (
     n INTEGER PRIMARY KEY, run_id TEXT NOT NULL, seq INTEGER NOT NULL, step_type TEXT NOT NULL, name TEXT,
     agent_name TEXT, status TEXT NOT NULL, input TEXT, output TEXT, started_at INTEGER, ended_at INTEGER,
     message_n INTEGER, tool_call_id TEXT);
   CREATE UNIQUE INDEX steps_run ON steps (run_id, seq);
   CREATE TABLE event_log (
     seq INTEGER PRIMARY KEY, run_id TEXT, type TEXT NOT NULL, created_at INTEGER NOT NULL, data TEXT NOT NULL);
   CREATE INDEX event_log_run ON event_log (run_id, seq);
   CREATE TABLE sends (
     key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, receipt TEXT NOT NULL, created_at INTEGER NOT NULL);
   CREATE INDEX sends_age ON sends (created_at);`,
  `ALTER TABLE messages ADD COLUMN pieces INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE message_pieces (n INTEGER NOT NULL, i INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (n, i));`,
  `CREATE TABLE prompts (n INTEGER PRIMARY KEY, text TEXT NOT NULL);
   ALTER TABLE steps ADD COLUMN prompt INTEGER;`,
] as const;
