-- What each run of a job came to, and what is kept of it.

ALTER TABLE job_runs ADD COLUMN run INTEGER NOT NULL DEFAULT 0; -- its number in this home
ALTER TABLE job_runs ADD COLUMN type TEXT NOT NULL DEFAULT 'task';
ALTER TABLE job_runs ADD COLUMN manual INTEGER NOT NULL DEFAULT 0; -- by a person, not by the clock
ALTER TABLE job_runs ADD COLUMN state TEXT NOT NULL DEFAULT 'ended'; -- queued, starting, running
ALTER TABLE job_runs ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE job_runs ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE job_runs ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE job_runs ADD COLUMN folder TEXT NOT NULL DEFAULT ''; -- of a bash job's output
ALTER TABLE job_runs ADD COLUMN exit_code INTEGER;
ALTER TABLE job_runs ADD COLUMN ended_at REAL;

UPDATE job_runs SET run = numbered.n FROM
  (SELECT project, job, due, row_number() OVER (ORDER BY fired_at, project, job) AS n FROM job_runs)
  AS numbered
  WHERE job_runs.project = numbered.project AND job_runs.job = numbered.job
  AND job_runs.due = numbered.due;
INSERT INTO cursors (name, value) SELECT 'job_run', count(*) FROM job_runs;

UPDATE job_runs SET outcome = 'skipped' WHERE task = '';
UPDATE job_runs SET state = 'running' WHERE task <> '';

ALTER TABLE jobs_seen ADD COLUMN runs INTEGER NOT NULL DEFAULT 0; -- so that nobody counts them
UPDATE jobs_seen SET runs = (SELECT count(*) FROM job_runs r
  WHERE r.project = jobs_seen.project AND r.job = jobs_seen.job);

CREATE INDEX job_runs_newest ON job_runs (project, job, run);
CREATE INDEX job_runs_open ON job_runs (state) WHERE state <> 'ended';
CREATE INDEX job_runs_kept ON job_runs (project, job, due) WHERE folder <> '';
CREATE INDEX tasks_self_review ON tasks (project, title) WHERE source = 'self-review';
