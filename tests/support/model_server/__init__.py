"""A scripted model server on loopback: Messages (claude), Responses (codex), Chat (opencode, qwen)
and Google's (gemini).

    from tests.support.model_server import ModelServer, Say, Shell, Write, turn

    with ModelServer() as server:
        run = server.play([
            turn(Write("hello.txt", "hello\\n")),           # answer to the first request
            turn(Shell("sleep 1"), gate="go"),              # held back until run.open("go")
            turn(Say("Done."), usage=Usage(fresh=400, cache_read=800, output=50)),
        ])
        # claude:   ANTHROPIC_BASE_URL = run.url
        # codex:    -c model_providers.scripted.base_url={run.url}/v1
        # opencode: provider option baseURL = {run.url}/v1
        # qwen:     OPENAI_BASE_URL = {run.url}/v1
        # gemini:   GOOGLE_GEMINI_BASE_URL = {run.url}
        run.wait_for(2)                                     # two steps were asked for
        run.open("go")
        assert "please also" in run.requests[-1].text       # what the CLI sent: a correction
        assert run.requests[1].results == ("File created ...",)
        assert run.spent.output == 150                      # what the usage must add up to

A scenario is a list of steps, the same for every protocol. Each request that offers tools takes the
next step; the last one stays for ever. Helpers' requests (titles, token counts, model lists) are
answered on their own and never take a step. Steps:

* `turn(*parts, usage=, stop=, gate=, pause_seconds=, limits=, times=)`: parts are `Say`, `Think`,
  `Shell`, `Read`, `Write`, `Edit` (in the words of the CLI that asks; paths relative to its cwd),
  `Use(name, arguments)` for any other tool. `pause_seconds` makes a slow stream.
* `Fail(name, retry_after=, times=)`: e401 e403 e404 e413 e429 e500 e502 e503 e529 context billing
  usage_limit overloaded_in_stream rate_in_stream, in each provider's own form (Google: no billing,
  none in a stream; its no_key is a key that there is not). For ever unless `times` says
  otherwise: `[Fail("e429", times=1), turn(Say("Done."))]`.
* `Respond(status, body, headers)`: anything else. `Hang()`: no answer at all.
* `Broken("cut" | "reset" | "stall" | "malformed")`: a stream that begins.

A scenario may also be a mapping from a text that stands in the conversation to its own steps
(`{"You route tasks": [...], "": [...]}`), for several conversations under one address: in order,
the first text that stands in the request decides, so put `""` last.

`server.name("ok", steps)` makes `/s/ok/{run}` known for any run name: `server.run("ok", "r7")`.
`tests.support.clis` starts each CLI against a run.
"""

from tests.support.model_server.asked import Asked, Message
from tests.support.model_server.run import Run
from tests.support.model_server.scenario import (
    FOREVER,
    Broken,
    Edit,
    Fail,
    Hang,
    Read,
    Respond,
    Say,
    Scenario,
    Shell,
    Step,
    Think,
    Turn,
    Usage,
    Use,
    Write,
    turn,
)
from tests.support.model_server.server import HELPFUL, ModelServer

__all__ = [
    "FOREVER",
    "HELPFUL",
    "Asked",
    "Broken",
    "Edit",
    "Fail",
    "Hang",
    "Message",
    "ModelServer",
    "Read",
    "Respond",
    "Run",
    "Say",
    "Scenario",
    "Shell",
    "Step",
    "Think",
    "Turn",
    "Usage",
    "Use",
    "Write",
    "turn",
]
