"""The files of a project in few lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.outline import outline

MANY = [f"src/{part}/file{n}.py" for part in ("a", "b", "c") for n in range(100)]


@pytest.mark.parametrize("paths, most, lines", [
    ([], 5, [""]),
    (["b", "a/x", "b"], 5, ["a/x", "b"]),
    (["README.md", *MANY], 200,
     ["README.md", "src/a/ (100 files)", "src/b/ (100 files)", "src/c/ (100 files)"]),
    (["README.md", *MANY], 3, ["README.md", "src/ (300 files)"]),
    (["x/only.py", *MANY], 2, ["src/ (300 files)", "x/ (1 file)"]),
    ([f"f{n:03}" for n in range(300)], 3, ["f000", "f001", "… and 298 more"]),
])  # fmt: skip
def test_what_does_not_fit_is_folded_from_below(paths, most, lines):
    assert outline(paths, most).split("\n") == lines


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map("/".join)),
       st.integers(min_value=1, max_value=20))  # fmt: skip
def test_there_are_never_too_many_lines(paths, most):
    assert len(outline(paths, most).split("\n")) <= most
