"""Secrets in text: each kind is found, what is none stays, and pieces are as good as the whole."""

from __future__ import annotations

import random

import pytest

from orch.core.redact import Masker, masked

A40 = "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cD1fG3hJ5kL7n"

SECRETS = {
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "github": f"ghp_{A40}",
    "github fine": f"github_pat_11ABCDEFG0{A40}",
    "gitlab": "glpat-abcDEF123456_ghiJKL7",
    "anthropic": f"sk-ant-api03-{A40}",
    "openai": f"sk-proj-{A40}",
    "openai old": f"sk-{A40}",
    "slack": "xoxb-123456789012-1234567890123-abcdefABCDEF",
    "slack app": "xapp-1-A0123456789-1234567890123-abcdef",
    "slack hook": "hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "stripe hook": "whsec_" + "abcdefghij0123456789ABCD",
    "telegram": f"123456789:{A40[:35]}",
    "discord": f"MTA5ODc2NTQzMjEwOTg3NjU0.GaBcDe.{A40[:38]}",
    "discord hook": f"discord.com/api/webhooks/123456789012345678/{A40}",
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{A40}",
}

KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{A40}\n{A40}\n-----END RSA PRIVATE KEY-----"

HIDDEN = {
    "postgres://app:hunter22@db.example.org:5432/x": "hunter22",
    "redis://:hunter22@cache:6379": "hunter22",
    "password=hunter22": "hunter22",
    "DB_PASSWORD: hunter22": "hunter22",
    '{"api_key": "hunter22"}': "hunter22",
    "GITHUB_TOKEN='hunter22'": "hunter22",
    "aws_secret_access_key = hunter22": "hunter22",
    "Authorization: Bearer hunter22.abc": "hunter22",
    "client-secret=hunter22;": "hunter22",
}

HARMLESS = [
    "input_tokens: 12345, output_tokens: 678",
    "PWD=/home/ada/project",
    "see https://example.org/path?q=1 and git@github.com:octo/demo.git",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "the token was refused",
    "12:30:45 INFO started in 0.5 s",
    "task-sk-1 is done",
    "a password is needed",
]


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("around", ["{}", "before {} after", 'x="{}"', "({})\n", "a,{},b"])
def test_every_kind_of_secret_is_masked_wherever_it_stands(kind: str, around: str) -> None:
    secret = SECRETS[kind]
    said = masked(around.format(secret))
    assert secret not in said
    assert secret[-12:] not in said
    assert "[" in said


@pytest.mark.parametrize(("text", "secret"), HIDDEN.items())
def test_what_is_named_a_secret_loses_its_value_and_keeps_its_name(text: str, secret: str) -> None:
    said = masked(text)
    assert secret not in said
    assert said[:5] == text[:5]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_a_private_key_goes_with_all_of_its_lines() -> None:
    said = masked(f"one\n{KEY}\ntwo\n")
    assert A40 not in said
    assert said == "one\n[private key]\ntwo\n"
    cut = masked(f"{A40}\n{A40}\n-----END PRIVATE KEY-----\ntwo")
    assert A40 not in cut
    assert cut.endswith("two")
    assert A40 not in masked(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{A40}\n{A40}")


def test_known_values_are_masked_unless_they_are_so_short_that_any_text_has_them() -> None:
    said = masked("the word is correct-horse and on", ("correct-horse", "on"))
    assert said == "the word is [secret] and on"
    assert masked("one two-line", ("first line\ntwo-line",)) == "one [secret]"


@pytest.mark.parametrize("seed", range(5))
def test_pieces_come_out_as_the_whole_does(seed: int) -> None:
    chance = random.Random(seed)
    parts = [*SECRETS.values(), *HIDDEN, *HARMLESS, KEY]
    chance.shuffle(parts)
    text = "\n".join(parts) + "\n"
    masker, said = Masker(("started",)), ""
    left = text
    while left:
        cut = chance.randrange(1, 40)
        said += masker.add(left[:cut])
        left = left[cut:]
    assert said + masker.rest() == masked(text, ("started",))


def test_an_endless_line_is_not_held_back_for_ever_and_hides_its_secrets_too() -> None:
    secret = SECRETS["github"]
    masker = Masker()
    said = "".join(masker.add(f"word {secret} ") for _ in range(2000)) + masker.rest()
    assert A40 not in said
    assert said.count("[github]") == 2000


@pytest.mark.parametrize(
    "line", ["a" * 16_000, "a." * 8000, "eyJ" * 5000, "://" * 5000, "_=" * 8000]
)
def test_no_line_takes_long(line: str) -> None:
    assert masked(line) == line
