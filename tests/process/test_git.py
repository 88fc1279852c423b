"""The door to git, with real repositories."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from orch.errors import ToolFailed
from orch.tools import git


def sh(folder, *words):
    ran = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture
def repo(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    sh(folder, "init", "-q", "-b", "main")
    sh(folder, "config", "user.name", "P")
    sh(folder, "config", "user.email", "p@example.invalid")
    (folder / "a.txt").write_text("a\n")
    sh(folder, "add", "-A")
    sh(folder, "commit", "-qm", "first")
    return folder


def work(repo, tmp_path, name="w", branch="orch/int-1"):
    folder = tmp_path / "trees" / name
    git.add_worktree(repo, folder, branch, git.start(repo).commit)
    return folder


def test_work_starts_from_the_default_branch_not_from_what_is_checked_out(repo):
    first = sh(repo, "rev-parse", "main")
    sh(repo, "checkout", "-qb", "mine")
    (repo / "b.txt").write_text("b")
    sh(repo, "add", "-A")
    sh(repo, "commit", "-qm", "mine")
    assert git.start(repo) == git.Start("main", first, False)


def test_with_a_remote_its_default_branch_is_fetched_first(repo, tmp_path):
    clone = tmp_path / "clone"
    sh(tmp_path, "clone", "-q", str(repo), str(clone))
    (repo / "new.txt").write_text("new")
    sh(repo, "add", "-A")
    sh(repo, "commit", "-qm", "newer")
    start = git.start(clone)
    assert (start.branch, start.remote) == ("main", True)
    assert git.fetch(clone, start.branch) == sh(repo, "rev-parse", "main")


def test_a_remote_that_is_gone_is_an_error_with_gits_own_words(repo, tmp_path):
    clone = tmp_path / "clone"
    sh(tmp_path, "clone", "-q", str(repo), str(clone))
    repo.rename(tmp_path / "moved")
    with pytest.raises(ToolFailed, match=r"git fetch .* failed: .*does not"):
        git.fetch(clone, "main")


def test_a_repository_without_a_commit_is_told(tmp_path):
    sh(tmp_path, "init", "-q")
    with pytest.raises(ToolFailed, match="no commit yet"):
        git.start(tmp_path)


def test_a_folder_that_is_gone_is_told(tmp_path):
    with pytest.raises(ToolFailed, match="is gone"):
        git.start(tmp_path / "nowhere")


def test_making_a_worktree_may_be_repeated(repo, tmp_path):
    folder = work(repo, tmp_path)
    (folder / "kept.txt").write_text("work")
    assert work(repo, tmp_path) == folder
    assert (folder / "kept.txt").read_text() == "work"
    assert sh(folder, "branch", "--show-current") == "orch/int-1"


def test_a_half_made_worktree_is_made_anew(repo, tmp_path):
    folder = work(repo, tmp_path)
    private = repo / ".git" / "worktrees" / "w"
    (private / "locked").write_text("initializing")
    (folder / "a.txt").unlink()
    work(repo, tmp_path)
    assert (folder / "a.txt").read_text() == "a\n"
    assert not (private / "locked").exists()


def test_a_worktree_removed_by_hand_is_made_again_on_its_branch(repo, tmp_path):
    folder = work(repo, tmp_path)
    (folder / "b.txt").write_text("b")
    assert git.commit_all(folder, "b", "A", "a@example.invalid")
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    work(repo, tmp_path)
    assert (folder / "b.txt").read_text() == "b"


def test_something_else_in_the_way_is_never_removed(repo, tmp_path):
    folder = tmp_path / "trees" / "w"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ToolFailed, match="in the way"):
        work(repo, tmp_path)
    assert (folder / "mine.txt").read_text() == "mine"


def test_many_worktrees_at_once_do_not_disturb_each_other(repo, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: work(repo, tmp_path, f"w{n}", f"orch/int-{n}"), range(16)))
    assert len(git.worktrees(repo)) == 17
    assert all((folder / "a.txt").exists() for folder in made)


def test_what_is_left_is_committed_under_the_agents_name_without_hooks(repo, tmp_path):
    hook = repo / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    folder = work(repo, tmp_path)
    (folder / "näme with space\n.txt").write_text("x")
    (folder / "a.txt").unlink()
    message = "subject\n\n$(touch hacked) -- `id`\n"
    assert git.commit_all(folder, message, "shell[bot]", "shell@orch.invalid")
    assert not git.commit_all(folder, message, "shell[bot]", "shell@orch.invalid")
    assert sh(folder, "log", "-1", "--format=%an %ae %B").startswith(
        "shell[bot] shell@orch.invalid subject\n\n$(touch hacked)"
    )
    base = sh(repo, "rev-parse", "main")
    assert set(git.files_changed(folder, base)) == {"a.txt", "näme with space\n.txt"}


def test_a_left_over_index_lock_does_not_stop_the_commit(repo, tmp_path):
    folder = work(repo, tmp_path)
    (repo / ".git" / "worktrees" / "w" / "index.lock").write_text("")
    (folder / "b.txt").write_text("b")
    assert git.commit_all(folder, "b", "A", "a@example.invalid")


def test_a_dirty_worktree_is_not_removed_and_a_moved_branch_not_deleted(repo, tmp_path):
    folder = work(repo, tmp_path)
    base = sh(repo, "rev-parse", "main")
    (folder / "b.txt").write_text("b")
    with pytest.raises(ToolFailed, match="worktree"):
        git.remove_worktree(repo, folder)
    git.commit_all(folder, "b", "A", "a@example.invalid")
    git.remove_worktree(repo, folder)
    with pytest.raises(ToolFailed):
        git.delete_branch(repo, "orch/int-1", base)
    commit = git.commit_of(repo, "orch/int-1")
    assert git.branches(repo, "orch/") == {"orch/int-1": commit}
    assert not git.is_merged(repo, commit, "main")
    git.delete_branch(repo, "orch/int-1", commit)
    assert git.branches(repo, "orch/") == {}


def test_a_diff_shows_what_the_branch_changed_since_its_base(repo, tmp_path):
    folder = work(repo, tmp_path)
    base = sh(repo, "rev-parse", "main")
    (folder / "a.txt").write_text("changed\n")
    git.commit_all(folder, "b", "A", "a@example.invalid")
    text = git.diff(repo, base, "orch/int-1")
    assert "+changed" in text
    assert "1 file changed" in text
    assert "b (A)" in git.log(repo, base, "orch/int-1")
