-- Attempts that go on with a conversation or review a branch; what reviews said; merges.

ALTER TABLE attempts ADD COLUMN kind TEXT NOT NULL DEFAULT 'work'; -- work or review
ALTER TABLE attempts ADD COLUMN continues INTEGER REFERENCES attempts (id); -- whose conversation
ALTER TABLE attempts ADD COLUMN native_session TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN head TEXT NOT NULL DEFAULT ''; -- the commit that is reviewed

CREATE TABLE reviews (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task TEXT NOT NULL REFERENCES tasks (key),
  head TEXT NOT NULL, -- the commit that was reviewed
  reviewer TEXT NOT NULL,
  attempt INTEGER REFERENCES attempts (id), -- NULL: a person's
  decision TEXT NOT NULL,
  notes TEXT NOT NULL,
  test_results TEXT NOT NULL,
  issues TEXT NOT NULL,
  superseded INTEGER NOT NULL DEFAULT 0, -- somebody asked for another one of the same commit
  at REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX reviews_head ON reviews (task, head) WHERE superseded = 0;

-- Where a task stands with its reviews: how often it was sent back, and what its next prompt says.

CREATE TABLE standings (
  task TEXT PRIMARY KEY REFERENCES tasks (key),
  asked INTEGER NOT NULL DEFAULT 0, -- somebody asked for a review of this task
  cycles INTEGER NOT NULL DEFAULT 0,
  conflicts INTEGER NOT NULL DEFAULT 0,
  feedback TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- A merge is recorded when its commit is made, before the default branch moves to it.

CREATE TABLE merges (
  task TEXT NOT NULL REFERENCES tasks (key),
  head TEXT NOT NULL,
  into_branch TEXT NOT NULL,
  onto TEXT NOT NULL,
  made TEXT NOT NULL,
  done INTEGER NOT NULL DEFAULT 0,
  at REAL NOT NULL,
  PRIMARY KEY (task, head)
) STRICT, WITHOUT ROWID;

-- An agent that is broken stays out of use until a check of it passes, whatever the time.

ALTER TABLE cooldowns ADD COLUMN broken INTEGER NOT NULL DEFAULT 0;
