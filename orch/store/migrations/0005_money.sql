-- What runs cost: the model that answered, and indexes for sums over time.

ALTER TABLE attempts ADD COLUMN used_model TEXT NOT NULL DEFAULT '';

DROP INDEX attempts_ended;
CREATE INDEX attempts_ended ON attempts (
  ended_at, agent, model, used_model, outcome, error_class, counted, started_at, task,
  input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, usd
) WHERE ended_at IS NOT NULL;

-- Of what a person was told, so that it is told once.

CREATE TABLE told (
  about TEXT PRIMARY KEY,
  at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX events_notices ON events (seq) WHERE name = 'notice_given';

-- How far each configured hook has come in the events log.

CREATE TABLE hooks (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
