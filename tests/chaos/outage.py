"""An S3-compatible server on loopback that can be cut off at any moment and come back with its objects.

moto's server keeps objects in memory only. A relay in front of it, in a process of its own, is therefore
killed instead of the server: clients see connections that break during a transfer and are then refused, as
when a server is killed and started again on the same disks.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from cluster import free_port

CLIENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "2",  # fewer than by default, so that the test is short
}


class S3:
    """The server and its relay, as a context manager; with the variables in `environment` clients find it."""

    def __init__(self, folder: Path) -> None:
        self.server_port, self.port = free_port(), free_port()
        self.environment = {**CLIENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> S3:
        with (self.folder / "s3.log").open("wb") as log:
            server = ["-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.server_port)]
            self.processes = [subprocess.Popen([sys.executable, *server], stdout=log, stderr=log)]
        self.start()
        self._await(f"http://127.0.0.1:{self.port}/moto-api/")
        bucket = f"http://127.0.0.1:{self.port}/bucket"
        urllib.request.urlopen(urllib.request.Request(bucket, method="PUT")).close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def start(self) -> None:
        """Let clients through (again)."""
        relay = [sys.executable, __file__, str(self.port), str(self.server_port)]
        self.processes.append(subprocess.Popen(relay))

    def stop(self) -> None:
        """Break all connections, and refuse new ones."""
        relay = self.processes.pop()
        relay.kill()
        relay.wait()

    def _await(self, url: str) -> None:
        for _ in range(300):
            try:
                urllib.request.urlopen(url).close()
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise TimeoutError(f"moto's server does not start; see {self.folder / 's3.log'}.")


async def relay(port: int, to: int) -> None:
    """Pass everything between clients of `port` and the server at `to`, until killed."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while received := await reader.read(65_536):
                writer.write(received)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", to)
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async with await asyncio.start_server(connect, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2])))
