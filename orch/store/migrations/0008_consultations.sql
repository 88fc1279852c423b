-- What agents used who were asked something apart from any attempt: who is to work, or for a plan.

CREATE TABLE consultations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE, -- so that each is counted once
  kind TEXT NOT NULL, -- route or plan
  project TEXT NOT NULL,
  task TEXT NOT NULL, -- what it was about; '' for a plan that is no task yet
  agent TEXT NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  usd REAL,
  charged INTEGER NOT NULL DEFAULT 1, -- to its task's budget: until the task is started over
  at REAL NOT NULL
) STRICT;
CREATE INDEX consultations_at ON consultations (at);
CREATE INDEX consultations_task ON consultations (task, id) WHERE task <> '';
