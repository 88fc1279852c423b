"""How the providers refuse: status, headers and body of each failure, in each protocol's form.

Forms as https://docs.anthropic.com/en/api/errors, .../rate-limits and
https://platform.openai.com/docs/guides/error-codes describe them; the usage limits as the
subscription services answer (headers `anthropic-ratelimit-unified-*`, body `usage_limit_reached`).
Google's as https://ai.google.dev/gemini-api/docs/troubleshooting and google.rpc.error_details.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.support.model_server.scenario import Fail, Respond

MODEL = "There is no model `{model}` here, or this key may not use it: it does not exist."
HTML = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>gateway</body></html>"
SLOW_DOWN = "Rate limit reached for {model}: Limit 30000, Used 29000, Requested 2000."
BUSY = "The server is currently overloaded with other requests. Please try again later."
TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
RESET_SECONDS = 3 * 3600
"""From now to the end of a usage limit, unless the step says otherwise."""


@dataclass(frozen=True)
class Form:
    """One failure: the status, and what Messages (claude) and the OpenAI protocols say."""

    status: int
    claude: tuple[str, str]
    """Type and message."""
    openai: tuple[str, str, str]
    """Type, code and message."""
    openai_status: int = 0
    in_stream: bool = False
    retry_after: int | None = None


FORMS = {
    "e401": Form(
        401,
        ("authentication_error", "invalid x-api-key"),
        ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: test-key."),
    ),
    "e403": Form(
        403,
        ("permission_error", "Your API key does not have permission to use this resource."),
        ("invalid_request_error", "model_not_found", "This project has no access to `{model}`"),
    ),
    "e404": Form(
        404,
        ("not_found_error", "model: {model}"),
        ("invalid_request_error", "model_not_found", MODEL),
    ),
    "e413": Form(
        413,
        ("request_too_large", "Request exceeds the maximum size"),
        ("invalid_request_error", "request_too_large", "Request entity too large"),
    ),
    "e429": Form(
        429,
        ("rate_limit_error", "This request would exceed your organization's rate limit."),
        ("tokens", "rate_limit_exceeded", SLOW_DOWN),
        retry_after=2,
    ),
    "e500": Form(
        500,
        ("api_error", "Internal server error"),
        ("server_error", "server_error", "The server had an error processing your request."),
    ),
    "e503": Form(
        503,
        ("api_error", "Service unavailable"),
        ("server_error", "server_is_overloaded", BUSY),
    ),
    "e529": Form(
        529, ("overloaded_error", "Overloaded"), ("server_error", "server_is_overloaded", BUSY)
    ),
    "overloaded_in_stream": Form(
        529,
        ("overloaded_error", "Overloaded"),
        ("server_error", "server_is_overloaded", BUSY),
        in_stream=True,
    ),
    "rate_in_stream": Form(
        429,
        ("rate_limit_error", "This request would exceed your organization's rate limit."),
        ("tokens", "rate_limit_exceeded", f"{SLOW_DOWN} Please try again in 1.5s."),
        in_stream=True,
    ),
    "context": Form(
        400,
        ("invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum"),
        ("invalid_request_error", "context_length_exceeded", TOO_LONG),
    ),
    "billing": Form(
        400,
        ("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        ("insufficient_quota", "insufficient_quota", QUOTA),
        openai_status=429,
    ),
    "usage_limit": Form(
        429,
        ("rate_limit_error", "This request would exceed your account's rate limit."),
        ("usage_limit_reached", "usage_limit_reached", "The usage limit has been reached"),
    ),
}
GOOGLE = {
    "e401": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "e403": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "e404": (404, "NOT_FOUND", "models/{model} is not found for API version v1beta."),
    "e413": (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
    "e429": (429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."),
    "e500": (500, "INTERNAL", "An internal error has occurred."),
    "e503": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "context": (400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum."),
    "usage_limit": (429, "RESOURCE_EXHAUSTED", QUOTA),
    "no_key": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
}
"""What Google says: HTTP status, status and message."""
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel"
"""The quota of Google's that `usage_limit` is about."""
NAMES = (*FORMS, "e502", "no_key")
"""What a `Fail` may be called."""


def answer(fail: Fail, protocol: str, model: str, *, streamed: bool = True) -> Respond:
    """The provider's answer. In-stream failures come as an event stream with status 200, if the
    client wants a stream at all."""
    if fail.name == "e502":
        return Respond(502, HTML, {"content-type": "text/html"})
    if protocol == "gemini":
        return _google(fail, model)
    form = FORMS[fail.name]
    seconds = fail.retry_after or form.retry_after or RESET_SECONDS
    headers = {"content-type": "application/json"}
    if fail.retry_after or form.retry_after:
        headers["retry-after"] = str(seconds)
    status = form.status
    if protocol == "messages":
        if fail.name == "usage_limit":
            headers |= _unified(seconds)
        error: dict[str, Any] = {"type": form.claude[0], "message": form.claude[1]}
        body = {"type": "error", "error": error, "request_id": "req_scripted"}
    else:
        status = form.openai_status or status
        error = dict(zip(("type", "code", "message"), form.openai, strict=True), param=None)
        if fail.name == "usage_limit":
            ahead = {"resets_at": int(time.time()) + seconds, "resets_in_seconds": seconds}
            error |= {"plan_type": "plus", **ahead}
            if protocol == "chat":
                headers["retry-after"] = str(seconds)
        body = {"error": error}
    error["message"] = error["message"].replace("{model}", model)
    if form.in_stream and streamed:
        headers["content-type"] = "text/event-stream"
        return Respond(200, _event(protocol, body), headers)
    return Respond(status, json.dumps(body), headers)


def _google(fail: Fail, model: str) -> Respond:
    """Google's answer; when to come back, and which quota is used up, stand in its details."""
    status, word, message = GOOGLE[fail.name]
    details: list[dict[str, Any]] = []
    kind = "type.googleapis.com/google.rpc."
    if fail.name == "no_key":
        reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        details.append({"@type": f"{kind}ErrorInfo", **reason})
    if fail.name == "usage_limit":
        violations = [{"quotaId": PER_DAY, "quotaDimensions": {"model": model}}]
        details.append({"@type": f"{kind}QuotaFailure", "violations": violations})
    if fail.retry_after:
        details.append({"@type": f"{kind}RetryInfo", "retryDelay": f"{fail.retry_after}s"})
    message = message.replace("{model}", model)
    error = {"code": status, "message": message, "status": word, "details": details}
    return Respond(status, json.dumps({"error": error}), {"content-type": "application/json"})


def _unified(seconds: int) -> dict[str, str]:
    """Headers of a subscription whose five-hour window is used up."""
    reset = str(int(time.time()) + seconds)
    name = "anthropic-ratelimit-unified"
    return {
        f"{name}-status": "rejected",
        f"{name}-reset": reset,
        f"{name}-representative-claim": "five_hour",
        f"{name}-5h-status": "rejected",
        f"{name}-5h-reset": reset,
        f"{name}-5h-utilization": "1.0",
        f"{name}-overage-status": "rejected",
        f"{name}-overage-disabled-reason": "org_level_disabled",
        "retry-after": str(seconds),
    }


def _event(protocol: str, body: dict[str, Any]) -> str:
    """The failure inside a stream that began well."""
    if protocol == "messages":
        return f"event: error\ndata: {json.dumps(body)}\n\n"
    if protocol == "responses":
        response = {"id": "resp_failed", "object": "response", "status": "failed", **body}
        failed = json.dumps({"type": "response.failed", "response": response})
        return f"event: response.failed\ndata: {failed}\n\n"
    return f"data: {json.dumps(body)}\n\n"
