"""What broke in systems like this one, and the test by which it cannot break here unseen."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.house.source import sources

TASKS = {
    "retry kept attempts, chain, or the needs_review flag": (
        "test_a_restarted_task_forgets_what_counted_before",
        "test_block_and_unblock_retry_close",
    ),
    "stale agent or model after failover": ("test_failover_leaves_no_stale_agent_or_model",),
    "parent blocked for ever because a child was closed by hand": (
        "test_children_hold_their_parent_back_also_when_closed_by_hand",
        "test_a_stuck_subtask_is_told_on_its_parent_and_closing_it_frees_the_parent",
    ),
    "double dispatch on redelivery, restart, or two engines": (
        "test_the_same_key_makes_one_task",
        "test_a_task_has_one_open_attempt_at_most",
        "test_whoever_takes_over_fences_the_other_off",
    ),
    "task never picked up after a crash": (
        "test_a_task_ends_as_if_nothing_had_happened_wherever_the_engine_dies",
    ),
    "unparseable answer counted as done": ("test_a_run_without_a_readable_answer_is_never_ok",),
    "14 tasks retried unchanged for a tool that is not installed": (
        "test_fourteen_tasks_are_not_retried_for_a_tool_that_is_not_installed",
    ),
}

AGENTS = {
    '"429" or "401" anywhere in the output classified as a limit': (
        "test_numbers_in_what_an_agent_says_or_prints_mean_nothing",
    ),
    "recovered error event discarded a good run": (
        "test_an_error_that_the_agent_recovered_from_is_no_failure",
    ),
    "agent killed for being silent": ("test_a_silent_agent_is_not_killed",),
    "usage summed twice, cache tokens ignored": (
        "test_the_tokens_of_turns_are_not_counted_twice",
        "test_a_conversation_is_resumed_and_its_tokens_counted_once",
        "test_every_kind_of_tool_works_and_the_tokens_add_up",
    ),
    "answer in fences, in an envelope as object or string, or after prose": (
        "test_an_answer_is_found",
        "test_an_answer_after_any_prose_is_found_unless_the_prose_swallows_it",
    ),
    "environment variable of an outer agent broke the inner one": (
        "test_nothing_of_orch_or_of_an_outer_agent_gets_into_an_agents_environment",
        "test_nothing_of_other_vendors_or_of_an_outer_opencode_gets_in",
    ),
    "minimal PATH and cwd / under launchd": (
        "test_a_services_minimal_path_is_completed",
        "test_a_task_is_done_under_a_minimal_path_from_the_root_folder",
    ),
    "trust, update or login dialog waiting for hours": (
        "test_no_trust_update_or_login_dialog_can_wait",
        "test_a_time_limit_while_nobody_answers_is_told_as_that",
        "test_each_agent_is_booted_once_and_says_what_works",
    ),
}

TMUX_AND_GIT = {
    "-t orch-app-4 matches orch-app-42": (
        "test_targets_are_exact_so_4_is_not_42",
        "test_tasks_4_and_42_alive_together_are_never_taken_for_each_other",
    ),
    "dots and colons in project names": (
        "test_sessions_of_like_named_projects_differ",
        "test_odd_projects_and_two_of_the_same_name_keep_apart",
    ),
    "trailing ; lost by send-keys": (
        "test_an_agent_that_reads_its_terminal_gets_what_people_send_once_per_key",
    ),
    "text pasted but never submitted": (
        "test_draft_then_enter_then_reaction_is_submitted",
        "test_a_mute_program_gets_enter_twice_the_text_once_and_the_sender_the_truth",
    ),
    "text pasted twice": ("test_enter_is_pressed_again_but_the_text_never_pasted_twice",),
    "ESC[201~ in a payload breaking out of the paste": (
        "test_a_text_cannot_break_out_of_its_paste",
    ),
    "typing into a dialog or a bare shell": (
        "test_nothing_is_typed_into_a_shell_that_took_the_foreground",
        "test_nothing_is_typed_where_a_password_is_asked_for",
    ),
    "pipe-pane silently stopping": ("test_the_log_is_byte_for_byte_what_the_agent_wrote",),
    "capture repeating the whole pane": (
        "test_kills_of_capture_and_engine_make_neither_gap_nor_repeat",
    ),
    "UTF-8 cut in the middle": ("test_a_character_is_not_published_in_halves_unless_it_stays_one",),
    "service restart killing every agent": (
        "test_restarting_every_service_leaves_a_working_agent_alone",
    ),
    "worktree from the person's current branch": (
        "test_work_starts_from_the_default_branch_not_from_what_is_checked_out",
    ),
    "cleanup deleting unmerged or running work": (
        "test_gc_removes_what_nothing_needs_and_keeps_what_is_not_merged",
        "test_a_dirty_worktree_is_not_removed_and_a_moved_branch_not_deleted",
    ),
    "two same-named repositories of different owners": (
        "test_same_named_repositories_of_different_owners_have_folders_of_their_own",
    ),
}

CONFIG = {
    "YAML list turned into one string": ("test_lists_and_variables_take_several_forms",),
    "project override never reaching the daemon": (
        "test_a_projects_file_reaches_every_reader_of_the_home",
        "test_changes_apply_live_and_a_torn_edit_keeps_the_last_good_config",
    ),
    "editor's rename-replace losing the watch": (
        "test_changes_go_on_being_told_after_each_way_of_changing",
    ),
    "invalid edit taking the service down": (
        "test_changes_apply_live_and_a_torn_edit_keeps_the_last_good_config",
        "test_an_orchd_that_starts_with_a_broken_config_runs_and_says_so",
    ),
    "comments lost on write": ("test_one_value_changes_and_every_other_line_stays",),
    "unknown keys ignored": ("test_a_mistake_is_told_with_file_line_and_key",),
}

TABLE = {**TASKS, **AGENTS, **TMUX_AND_GIT, **CONFIG}


@cache
def known() -> frozenset[str]:
    """The names of all tests, the slow and the real ones too."""
    return frozenset(
        node.name
        for file in sources("tests")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def missing(names: tuple[str, ...]) -> list[str]:
    """Those names that no test has."""
    return [name for name in names if name not in known()]


@pytest.mark.parametrize("line", TABLE)
def test_what_broke_elsewhere_has_a_test_here(line):
    assert TABLE[line]
    assert missing(TABLE[line]) == []


def test_a_test_that_there_is_not_is_missed():
    assert missing(("test_that_nobody_wrote", "test_an_answer_is_found")) == [
        "test_that_nobody_wrote"
    ]
