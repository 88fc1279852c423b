"""Why a run failed: one table for all CLIs, by error code, HTTP status and a vendor's own words.

Patterns are matched only against texts that are an error message (an error field, a CLI's own
error line), and only at their beginning: never against what an agent said or a command printed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orch.model import ErrorClass

E = ErrorClass

LIMITS = frozenset({E.USAGE_LIMIT, E.RATE_LIMIT, E.OVERLOADED, E.BILLING})
"""Classes for which a stated reset time means something."""

RETRIED = LIMITS | {E.NETWORK, E.CONTEXT_OVERFLOW}
"""What CLIs go on trying at until somebody ends them: the cause, not that end, is the class."""

SPECIFIC = frozenset({E.USAGE_LIMIT, E.BILLING, E.MODEL_UNAVAILABLE, E.CONTEXT_OVERFLOW})
"""Classes that hide behind a more general HTTP status."""

STATUSES = {
    401: E.AUTH,
    402: E.BILLING,
    403: E.AUTH,
    404: E.MODEL_UNAVAILABLE,
    408: E.NETWORK,
    413: E.CONTEXT_OVERFLOW,
    429: E.RATE_LIMIT,
    499: E.NETWORK,
}

CODES = {
    "authentication_error": E.AUTH,
    "invalid_api_key": E.AUTH,
    "permission_error": E.AUTH,
    "unauthenticated": E.AUTH,
    "permission_denied": E.AUTH,
    "billing_error": E.BILLING,
    "billing_hard_limit_reached": E.BILLING,
    "billing_not_active": E.BILLING,
    "insufficient_quota": E.BILLING,
    "usage_limit_reached": E.USAGE_LIMIT,
    "usage_not_included": E.USAGE_LIMIT,
    "rate_limit_error": E.RATE_LIMIT,
    "rate_limit_exceeded": E.RATE_LIMIT,
    "overloaded_error": E.OVERLOADED,
    "server_is_overloaded": E.OVERLOADED,
    "slow_down": E.OVERLOADED,
    "server_error": E.OVERLOADED,
    "api_error": E.OVERLOADED,
    "unavailable": E.OVERLOADED,
    "timeout_error": E.NETWORK,
    "deadline_exceeded": E.NETWORK,
    "context_length_exceeded": E.CONTEXT_OVERFLOW,
    "request_too_large": E.CONTEXT_OVERFLOW,
    "model_not_found": E.MODEL_UNAVAILABLE,
    "not_found_error": E.MODEL_UNAVAILABLE,
    "content_filter": E.REFUSAL,
    "content_policy_violation": E.REFUSAL,
}
"""Error codes and types in the bodies of the Messages, Responses, Chat and Gemini APIs."""

Words = tuple[tuple[str, ErrorClass], ...]
"""Beginnings of error messages (regular expressions, letter case ignored), the first match wins.
A straight apostrophe in one stands for a typographic one too."""

PROVIDERS: Words = (
    (
        r"(the )?usage limit has been reached|you've (hit|reached) your .{0,40}\blimit",
        E.USAGE_LIMIT,
    ),
    (
        r"you exceeded your current quota|quota exceeded\. check your plan|billing hard limit|"
        r"(your )?credit balance is too low|insufficient (credits|balance|quota)|"
        r"you have reached your specified api usage limits|payment required",
        E.BILLING,
    ),
    (
        r"(incorrect|invalid|missing|expired|no) (x-)?api[- ]key|api key (not valid|expired)|"
        r"unauthorized|(failed to )?authenticat|invalid (bearer|auth)|your authentication token",
        E.AUTH,
    ),
    (
        r"rate limit (reached|exceeded|error)|rate limited|too many requests|"
        r"this request would exceed your|resource (has been )?exhausted",
        E.RATE_LIMIT,
    ),
    (
        r"(the )?(server|service|model|engine|selected model) is (currently |at |temporarily )?"
        r"(overloaded|capacity|unavailable)|overloaded|internal server error|server error\b|"
        r"the server had an error|service (temporarily )?unavailable|bad gateway|gateway time-?out",
        E.OVERLOADED,
    ),
    (
        r"(your )?input (exceeds|is too long)|this model's maximum context|prompt is too long|"
        r"request (is )?too large|the input token count .{0,40}exceeds|context (length|window) exc",
        E.CONTEXT_OVERFLOW,
    ),
    (
        r"the (requested )?model `?.{1,100}?`? (does not exist|was not found|is not (found|supp))|"
        r"project `?.{1,100}?`? does not have access to model|model not found|unknown model|"
        r"models/.{1,100}? is not found|(invalid|no such) model",
        E.MODEL_UNAVAILABLE,
    ),
    (
        r"(cannot|unable to|could not|failed to) connect|connection (error|failed|refused|reset|"
        r"closed|timed)|fetch failed|socket hang up|network (error|timeout|is unreachable)|"
        r"request timed out|(read |connect )?e(connreset|connrefused|timedout|notfound|pipe)\b|"
        r"getaddrinfo|error sending request|terminated( \(cause|$)|"
        r"(unexpected end of|json parsing failed)",
        E.NETWORK,
    ),
)
"""What providers say, in whichever CLI's error field it arrives."""


class Failure(NamedTuple):
    """Why a run failed; `retry_at` (epoch seconds) where the vendor stated it. `whole`: the vendor
    says that a limit is the account's, whatever the model."""

    error: ErrorClass
    message: str
    retry_at: float | None = None
    whole: bool = False


def by_status(status: object) -> ErrorClass | None:
    """The class of an HTTP status; None for one that says nothing by itself (200, 400, …)."""
    if isinstance(status, bool) or not isinstance(status, int):
        return None
    return E.OVERLOADED if 500 <= status <= 599 else STATUSES.get(status)


def by_code(*codes: object) -> ErrorClass | None:
    """The class of the first known error code or type among `codes`."""
    for code in codes:
        if isinstance(code, str) and code.lower() in CODES:
            return CODES[code.lower()]
    return None


def by_words(message: str, *tables: Words) -> ErrorClass | None:
    """The class of the first pattern that the message begins with."""
    plain = message[:2000].strip().replace("’", "'")
    for table in tables:
        for pattern, error in table:
            if re.match(pattern, plain, re.I | re.S):
                return error
    return None


def of_request(status: object, message: str, *codes: object, words: Words = ()) -> ErrorClass:
    """The class of a model request that failed: by its error code, then its HTTP status, then its
    message. Of the statuses that cover several cases (400, 403, 429) the message tells which."""
    told = by_words(message, words, PROVIDERS)
    if told in SPECIFIC and status in (None, 400, 403, 429):
        return told
    return by_code(*codes) or by_status(status) or told or E.AGENT_FAILED
