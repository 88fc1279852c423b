"""Secrets in text, replaced by what kind they were: one list of patterns for every way out.

The forms are those that the vendors give their tokens; what no pattern knows is found by its name
(`password=…`), or because it is a secret value of the configuration. What is masked is masked line
by line, but for private keys, which go over many lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SHORTEST = 6
"""Characters of a secret value that is looked for: shorter ones stand in any text."""

KEY_BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
KEY_ENDS = re.compile(r"-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
KEY_MASK = "[private key]"
_KEY_LINE = re.compile(r"\s*[A-Za-z0-9+/=]{16,}\s*")

_NAMES = (
    r"(?:password|passwd|passphrase|secret(?!s\b)|credential|token(?!s\b)|api[_-]?key"
    r"|(?:access|secret|private|auth)[_-]?key|pwd(?=[\"']?\s?[:=]\s?[\"']?[^\s/~\"']))"
)
"""Names of what is secret. Not of counts (`input_tokens`), nor of the current folder (`PWD`)."""

PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("aws", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b")),
    ("github", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255})")),
    ("gitlab", re.compile(r"\bglpat-[\w-]{20,255}")),
    ("anthropic", re.compile(r"\bsk-ant-[\w-]{16,255}")),
    ("openai", re.compile(r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9][\w-]{18,255}")),
    ("slack", re.compile(r"\b(?:xox[a-z]-|xapp-)[A-Za-z0-9-]{10,255}")),
    ("slack", re.compile(r"\bhooks\.slack\.com/services/[\w/]{20,255}")),
    ("stripe", re.compile(r"\b(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{16,255}")),
    ("telegram", re.compile(r"(?<!\d)\d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")),
    ("discord", re.compile(r"\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,45}")),
    ("discord", re.compile(r"\bdiscord(?:app)?\.com/api/webhooks/\d{5,25}/[\w-]{20,255}")),
    ("jwt", re.compile(r"\beyJ[\w-]{8,2048}\.eyJ[\w-]{8,4096}\.[\w-]{8,1024}")),
    ("password", re.compile(r"(?<=://)([^\s/:@]{0,64}:)[^\s/@]{1,255}(?=@)")),
    ("secret", re.compile(r"(?i)(\bauthorization[\"']?\s?[:=]\s?[\"']?\w+\s)[^\s\"',;]{4,4096}")),
    (
        "secret",
        re.compile(rf"(?i)({_NAMES}[\w-]{{0,32}}[\"']?\s?[:=]\s?[\"']?)[^\s\"',;]{{4,4096}}"),
    ),
)
"""Each kind of secret with its form; a group in it is kept, as it is the name and no secret."""


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with every secret replaced by its kind in brackets; `secrets` are known values."""
    masker = Masker(secrets)
    lines = "".join(masker.add(text) + masker.rest()).split("\n")
    for number, line in enumerate(lines):
        if KEY_ENDS.search(line):  # the end of a key whose beginning was cut off
            _mask_upwards(lines, number)
    return "\n".join(lines)


class Masker:
    """Masks text that comes in pieces: whole lines come out, the last one waits for its end."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {one for text in secrets for one in (text, *text.splitlines())}
        known = {one for one in known if len(one) >= SHORTEST}
        longest = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest))) if longest else None
        self._held = ""
        self._in_key = False

    def add(self, text: str, longest: int = 16_384) -> str:
        """The lines that are whole now, masked; one longer than `longest` is cut between words."""
        self._held += text
        *whole, self._held = self._held.split("\n")
        done = "".join(self._line(line) for line in whole)
        if len(self._held) > longest:
            cut = self._held.rfind(" ") + 1 or len(self._held)
            done += self._line(self._held[:cut]).removesuffix("\n")
            self._held = self._held[cut:]
        return done

    def rest(self) -> str:
        """What was held back, masked."""
        held, self._held = self._held, ""
        return self._line(held).removesuffix("\n") if held else ""

    def _line(self, line: str) -> str:
        if self._in_key:
            end = KEY_ENDS.search(line)
            if end is None:
                return ""
            self._in_key, line = False, line[end.end() :]
            return f"{self._masked(line)}\n" if line.strip() else ""
        begin = KEY_BEGINS.search(line)
        if begin is None:
            return f"{self._masked(line)}\n"
        before, after = line[: begin.start()], line[begin.end() :]
        end = KEY_ENDS.search(after)
        self._in_key = end is None
        tail = "" if end is None else self._masked(after[end.end() :])
        return f"{self._masked(before)}{KEY_MASK}{tail}\n"

    def _masked(self, line: str) -> str:
        if self._known is not None:
            line = self._known.sub("[secret]", line)
        for kind, pattern in PATTERNS:
            line = pattern.sub(
                rf"\g<1>[{kind}]" if pattern.groups else f"[{kind}]", line
            )  # fmt: skip
        return line


def _mask_upwards(lines: list[str], end: int) -> None:
    """Take out the lines of a key that end here."""
    rest = KEY_ENDS.sub(KEY_MASK, lines[end])
    first = end
    while first and _KEY_LINE.fullmatch(lines[first - 1]):
        first -= 1
    lines[first : end + 1] = [rest] + [""] * (end - first)
