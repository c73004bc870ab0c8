"""An endpoint on loopback that answers as a test says, faults included; as a program, a process that tells its port."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def completion(text: Any = "four", *, usage: Any = (12, 4, 3), reason: Any = "stop", **message: Any) -> dict[str, Any]:
    """An answer as the protocol has it."""
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text, **message}}
    document = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    if usage is not None:
        prompt, cached, made = usage
        document["usage"] = {
            "prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made,
            "prompt_tokens_details": {"cached_tokens": cached},
        }  # fmt: skip
    return document


class Handler(BaseHTTPRequestHandler):
    """What the server does with one attempt; the test's script is a list of actions, the last of which is repeated."""

    protocol_version = "HTTP/1.1"
    server: "Server"
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.body = body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append(
                (time.monotonic(), {name.lower(): value for name, value in self.headers.items()}, body)
            )
            place = min(len(self.server.seen), len(self.server.script)) - 1
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
        try:
            self.server.script[place](self)
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Attempts that came in, and what is done with them."""

    daemon_threads = True

    def __init__(self, script: list[Callable[[Handler], None]]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.seen, self.lock = script, [], threading.Lock()
        self.under_way = self.most_under_way = 0
        self.ended = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


@contextlib.contextmanager
def serving(*script: Callable[[Handler], None]) -> Iterator[Server]:
    """A server at work."""
    with Server(list(script)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def answer(document: Any, status: int = 200, **headers: str) -> Callable[[Handler], None]:
    """An answer; text and bytes are sent as they are, anything else as JSON."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()

    def act(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return act


def cut_short(handler: Handler) -> None:
    """An answer whose connection ends before its body does."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    drop(handler)


def drop(handler: Handler) -> None:
    """The connection is reset."""
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def slowly(seconds: float) -> Callable[[Handler], None]:
    """The answer comes a byte at a time, for this long."""

    def act(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        until = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while time.monotonic() < until and not handler.server.ended.is_set():
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.02)
        handler.close_connection = True

    return act


def echo_key(handler: Handler) -> None:
    """An answer that repeats the key it was sent."""
    answer(completion(f"Your header was {handler.headers['Authorization']}"))(handler)


def later(seconds: float, action: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Another action after a while."""

    def act(handler: Handler) -> None:
        if not handler.server.ended.wait(seconds):
            action(handler)

    return act


def die(handler: Handler) -> None:
    """The process is gone, with the answer that it owes."""
    os.kill(os.getpid(), signal.SIGKILL)


# What a process is told to do, one word for each attempt.
WORDS: dict[str, Callable[[Handler], None]] = {
    "good": answer(completion()),
    "busy": answer({}, 429),
    "busy_for": answer({}, 429, Retry_After="0.2"),
    "broken": answer({}, 500),
    "drop": drop,
    "slow": slowly(20),
    "truncated": answer(b'{"choices": [{"message": {"content": "fo'),
    "other": answer([]),
    "uncounted": answer(completion(usage=None)),
    "empty": answer({**completion(), "choices": []}),
    "refusal": answer(completion(None, refusal="I will not.")),
    "longer": answer(completion(usage=(12, 4, 17))),
    "die": die,
}


@contextlib.contextmanager
def process(*words: str) -> Iterator[str]:
    """A server in a process of its own; yields its address."""
    with subprocess.Popen([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


if __name__ == "__main__":
    with Server([WORDS[word] for word in sys.argv[1:]]) as only:
        print(only.address, flush=True)
        only.serve_forever()
