-- What rests is an account, for every agent that uses it, or an agent by itself.

CREATE TABLE resting (
  account TEXT NOT NULL, -- '': the agent by itself
  agent TEXT NOT NULL, -- '': every agent that uses the account
  model TEXT NOT NULL, -- '': all of them
  until REAL NOT NULL,
  reason TEXT NOT NULL,
  broken INTEGER NOT NULL,
  PRIMARY KEY (account, agent, model)
) STRICT, WITHOUT ROWID;

INSERT INTO resting SELECT agent, '', model, until, reason, broken FROM cooldowns
  WHERE NOT (broken AND (reason LIKE 'missing_tool:%' OR reason LIKE 'launch_failed:%'));
INSERT INTO resting SELECT '', agent, model, until, reason, broken FROM cooldowns
  WHERE broken AND (reason LIKE 'missing_tool:%' OR reason LIKE 'launch_failed:%');

DROP TABLE cooldowns;
ALTER TABLE resting RENAME TO cooldowns;
