-- What agents ask people, with the answers; and who works in which session.

CREATE TABLE approvals (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task TEXT NOT NULL REFERENCES tasks (key),
  attempt INTEGER NOT NULL REFERENCES attempts (id),
  session TEXT NOT NULL,
  question TEXT NOT NULL, -- the agent's own id of it
  tool TEXT NOT NULL,
  text TEXT NOT NULL,
  options TEXT NOT NULL,
  asked_at REAL NOT NULL,
  state TEXT NOT NULL DEFAULT 'asked', -- asked, allowed, denied, expired
  "by" TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  answered_at REAL,
  delivered INTEGER NOT NULL DEFAULT 0, -- the agent has the answer
  problem TEXT NOT NULL DEFAULT '', -- why it will not get it
  UNIQUE (attempt, question)
) STRICT;
CREATE INDEX approvals_waiting ON approvals (state) WHERE state = 'asked';
CREATE INDEX approvals_task ON approvals (task, id);

CREATE TABLE takeovers (
  attempt INTEGER PRIMARY KEY REFERENCES attempts (id),
  session TEXT NOT NULL UNIQUE,
  "by" TEXT NOT NULL,
  at REAL NOT NULL
) STRICT;
