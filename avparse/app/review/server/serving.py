"""The running server: bound to this machine, ended by Ctrl-C."""

from __future__ import annotations

import errno
import secrets
import socket
import webbrowser
from collections.abc import Callable

import uvicorn

from avparse.app.review.server.guard import App, Guard
from avparse.foundation.errors import UserError
from avparse.foundation.interrupt import STOP_SIGNALS, Interrupted

HOST = "127.0.0.1"
_BYTES = 24  # of the token
_CLOSING_S = 2


class Server:
    """A server that is bound and not yet running.

    Attributes:
        address: address of the page, with the token.

    Args:
        app: application to serve.
        port: port to listen on; 0 for any that is free.
        token: secret of the server; None for a random one.

    Raises:
        UserError: the port is in use or may not be used.
    """

    def __init__(self, app: App, port: int = 0, token: str | None = None) -> None:
        self._socket = _bound(port)
        port = self._socket.getsockname()[1]
        token = token or secrets.token_urlsafe(_BYTES)
        self.address = f"http://{HOST}:{port}/?token={token}"
        config = uvicorn.Config(
            Guard(app, token, port),
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_CLOSING_S,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until Ctrl-C, or :meth:`stop` from another thread.

        Raises:
            Interrupted: a signal other than that of Ctrl-C ended it.
        """
        try:
            self._server.run(sockets=[self._socket])
        except Interrupted as stop:
            if stop.signal != STOP_SIGNALS[0]:
                raise
        except KeyboardInterrupt:
            pass
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Ask a running server to end."""
        self._server.should_exit = True


def show(address: str, say: Callable[[str], None]) -> None:
    """Open a browser at an address, and say so where there is none."""
    if not webbrowser.open(address):
        say("no browser was found; open the address above in one")


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port that a review has just left is free at once; on Windows the first of these would share one in use.
    option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
    found.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        found.bind((HOST, port))
        found.listen(128)
    except (OSError, OverflowError) as error:
        found.close()
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs rights that you do not have"}
        reason = reasons.get(getattr(error, "errno", None) or 0, f"cannot be used ({error})")
        raise UserError(f"--port {port}: {reason}; give another, or leave it out for one that is free") from None
    return found
