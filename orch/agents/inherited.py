"""The environment of an agent: from an allow-list, so that nothing of orch's own gets in."""

from __future__ import annotations

from collections.abc import Mapping

PASSED = {
    *("HOME", "PATH", "SHELL", "USER", "LOGNAME", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"),
    *("CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
}
"""What an agent inherits, beside `LC_*`. Keys and tokens are given by `agents.{name}.env`."""

USUAL = ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
"""Where programs usually lie: a service's own PATH (launchd, systemd) often lacks them."""


def environment(
    parent: Mapping[str, str], additions: Mapping[str, str], passes: tuple[str, ...] = ()
) -> dict[str, str]:
    """An agent's whole environment: the allowed part of `parent`, then `additions`.

    `passes` are more names that are allowed, or prefixes with a `*` behind. Values that are no
    UTF-8 text are left out.
    """
    names = {one for one in passes if not one.endswith("*")} | PASSED
    prefixes = ("LC_", *(one[:-1] for one in passes if one.endswith("*")))
    kept = {
        name: value
        for name, value in parent.items()
        if (name in names or name.startswith(prefixes)) and _is_text(value)
    }
    home = kept.get("HOME", "")
    folders = [folder for folder in kept.get("PATH", "").split(":") if folder]
    usual = ([f"{home}/.local/bin"] if home else []) + list(USUAL)
    kept["PATH"] = ":".join(dict.fromkeys([*folders, *usual]))
    kept.setdefault("TERM", "screen-256color")
    if not any(name in kept for name in ("LANG", "LC_ALL", "LC_CTYPE")):
        kept["LANG"] = "C.UTF-8"
    return kept | {name: value for name, value in additions.items() if _is_text(value)}


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
