-- Tasks, attempts and what is known of them. Times are seconds since the epoch (UTC).

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  title TEXT NOT NULL,
  body TEXT NOT NULL,
  labels TEXT NOT NULL,
  author TEXT NOT NULL,
  source TEXT NOT NULL,
  status TEXT NOT NULL,
  agent TEXT NOT NULL DEFAULT '',
  wanted_agent TEXT NOT NULL DEFAULT '',
  model TEXT NOT NULL DEFAULT '',
  complexity TEXT NOT NULL DEFAULT '',
  route_reason TEXT NOT NULL DEFAULT '',
  parent TEXT NOT NULL DEFAULT '',
  after TEXT NOT NULL DEFAULT '[]',
  attempts INTEGER NOT NULL DEFAULT 0,
  route_attempts INTEGER NOT NULL DEFAULT 0,
  branch TEXT NOT NULL DEFAULT '',
  worktree TEXT NOT NULL DEFAULT '',
  pull_request TEXT NOT NULL DEFAULT '',
  summary TEXT NOT NULL DEFAULT '',
  blocked_reason TEXT NOT NULL DEFAULT '',
  last_error TEXT NOT NULL DEFAULT '',
  not_before REAL NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 0,
  delegated INTEGER NOT NULL DEFAULT 0, -- blocked only until its children are done
  fresh_after INTEGER NOT NULL DEFAULT 0, -- attempts up to this one no longer count
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL
) STRICT;
CREATE INDEX tasks_waiting ON tasks (status, priority DESC, id);
CREATE INDEX tasks_project ON tasks (project, status, id);
CREATE INDEX tasks_status ON tasks (status, id);
CREATE INDEX tasks_parent ON tasks (parent) WHERE parent <> '';

-- How many tasks there are, kept exact by the database, so that nobody counts them.

CREATE TABLE totals (
  project TEXT NOT NULL,
  status TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (project, status)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tasks_added AFTER INSERT ON tasks BEGIN
  INSERT INTO totals (project, status, n) VALUES (new.project, new.status, 1)
    ON CONFLICT (project, status) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER tasks_moved AFTER UPDATE OF status ON tasks WHEN old.status <> new.status BEGIN
  UPDATE totals SET n = n - 1 WHERE project = old.project AND status = old.status;
  INSERT INTO totals (project, status, n) VALUES (new.project, new.status, 1)
    ON CONFLICT (project, status) DO UPDATE SET n = n + 1;
END;

CREATE TABLE dependencies (
  task TEXT NOT NULL REFERENCES tasks (key),
  after TEXT NOT NULL REFERENCES tasks (key),
  PRIMARY KEY (task, after)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_after ON dependencies (after);

CREATE TABLE attempts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task TEXT NOT NULL REFERENCES tasks (key),
  n INTEGER NOT NULL,
  phase TEXT NOT NULL,
  fence INTEGER NOT NULL,
  agent TEXT NOT NULL,
  model TEXT NOT NULL DEFAULT '',
  session TEXT NOT NULL DEFAULT '',
  folder TEXT NOT NULL DEFAULT '',
  worktree TEXT NOT NULL DEFAULT '',
  branch TEXT NOT NULL DEFAULT '',
  base TEXT NOT NULL DEFAULT '',
  outcome TEXT NOT NULL DEFAULT '',
  exit_code INTEGER,
  error_class TEXT,
  error TEXT NOT NULL DEFAULT '',
  started_at REAL NOT NULL,
  launched_at REAL,
  ended_at REAL,
  counted INTEGER NOT NULL DEFAULT 1,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  cache_read_tokens INTEGER NOT NULL DEFAULT 0,
  cache_write_tokens INTEGER NOT NULL DEFAULT 0,
  usd REAL,
  UNIQUE (task, n)
) STRICT;
CREATE UNIQUE INDEX attempts_claim ON attempts (task) WHERE phase <> 'ended';
CREATE INDEX attempts_ended ON attempts (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX attempts_session ON attempts (session);

CREATE TABLE memory (
  attempt INTEGER PRIMARY KEY REFERENCES attempts (id),
  task TEXT NOT NULL,
  agent TEXT NOT NULL,
  model TEXT NOT NULL,
  learnings TEXT NOT NULL,
  error TEXT NOT NULL,
  files TEXT NOT NULL,
  approach TEXT NOT NULL,
  seconds REAL NOT NULL
) STRICT;
CREATE INDEX memory_task ON memory (task, attempt);

CREATE TABLE meta (
  task TEXT NOT NULL REFERENCES tasks (key),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (task, key)
) STRICT, WITHOUT ROWID;

-- The events log: appended in the same transaction as the change it tells of.

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  name TEXT NOT NULL,
  task TEXT NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX events_task ON events (task, seq);
CREATE INDEX events_at ON events (at);

-- What must leave (outbox), what came in (inbox), and what was answered under a key.

CREATE TABLE effects (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  target TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL UNIQUE,
  task TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting',
  fence INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,
  not_before REAL NOT NULL DEFAULT 0,
  result TEXT,
  error TEXT NOT NULL DEFAULT '',
  created_at REAL NOT NULL
) STRICT;
CREATE INDEX effects_due ON effects (target, not_before) WHERE state IN ('waiting', 'leased');

CREATE TABLE inbox (
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  payload TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE replies (
  key TEXT PRIMARY KEY,
  reply BLOB NOT NULL,
  at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replies_at ON replies (at);

-- Jobs, cooldowns, cursors, and the engine's own fence.

CREATE TABLE job_runs (
  project TEXT NOT NULL,
  job TEXT NOT NULL,
  due REAL NOT NULL,
  task TEXT NOT NULL,
  reason TEXT NOT NULL,
  fired_at REAL NOT NULL,
  PRIMARY KEY (project, job, due)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs_seen (
  project TEXT NOT NULL,
  job TEXT NOT NULL,
  schedule TEXT NOT NULL, -- with its time zone: another schedule is seen anew
  at REAL NOT NULL,
  PRIMARY KEY (project, job)
) STRICT, WITHOUT ROWID;

CREATE TABLE cooldowns (
  agent TEXT NOT NULL,
  model TEXT NOT NULL,
  until REAL NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (agent, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE weights (
  agent TEXT PRIMARY KEY,
  weight REAL NOT NULL,
  at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE schema_history (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  at REAL NOT NULL
) STRICT;
