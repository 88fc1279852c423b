-- What the router said of a task, and how often in a row it could not be asked.

ALTER TABLE tasks ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tasks ADD COLUMN route_warnings TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tasks ADD COLUMN route_failures INTEGER NOT NULL DEFAULT 0;
