"""Whatever bytes come, however they are cut into packets, an exchange ends with one answer or with none."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from assetstore.s3.connection import Connection
from assetstore.s3.message import Answer, NoAnswerError
from tests.unit.s3.rig import a_request, an_answer


@dataclass(slots=True)
class Wire(asyncio.Transport):
    """A transport to nowhere."""

    written: list[bytes] = field(default_factory=list)
    is_ended: bool = False

    def write(self, data: object) -> None:
        """Keep what was written."""
        assert isinstance(data, bytes)
        self.written.append(data)

    def is_closing(self) -> bool:
        """Whether it was ended."""
        return self.is_ended

    def close(self) -> None:
        """End it."""
        self.is_ended = True

    def abort(self) -> None:
        """End it."""
        self.is_ended = True


def outcome(packets: Sequence[bytes], *, is_head: bool = False) -> Answer | None:
    """What an exchange makes of these packets and the end of the connection after them."""

    async def exchange() -> Answer | None:
        wire = Wire()
        connection = Connection(asyncio.get_running_loop())
        connection.connection_made(wire)
        asked = asyncio.ensure_future(connection.exchange(a_request(is_head=is_head)))
        await asyncio.sleep(0)
        for packet in packets:
            if wire.is_ended:
                break
            connection.data_received(packet)
            await asyncio.sleep(0)
        connection.connection_lost(None)
        try:
            return await asked
        except NoAnswerError:
            return None

    with asyncio.Runner() as runner:
        return runner.run(exchange())


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The bytes in packets, cut at these places."""
    places = sorted({place % (len(data) + 1) for place in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)
TOKENS = st.lists(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\n",
            b"content-length: 3\r\n",
            b"content-length: 0\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"connection: close\r\n",
            b"x-amz-meta-status: uploaded\r\n",
            b"\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"abc",
            b"\n",
            b"\x00",
            b"\xff\xfe",
            b": ",
        ]
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(TOKENS, st.binary(max_size=200)), CUTS, st.booleans())
def test_any_bytes_end_in_an_answer_or_in_none(data: bytes, cuts: list[int], is_head: bool) -> None:  # noqa: FBT001
    """No bytes hang an exchange or raise anything but NoAnswerError, and the cuts do not change what comes of them."""
    whole = outcome([data], is_head=is_head)
    assert outcome(cut(data, cuts), is_head=is_head) == whole
    assert whole is None or (whole.status >= 200 and len(whole.body) <= len(data))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=100), st.integers(1, 200), st.booleans(), CUTS)
def test_an_answer_cut_anywhere_is_none(body: bytes, missing: int, is_chunked: bool, cuts: list[int]) -> None:  # noqa: FBT001
    """A well-formed answer is read whole, and with even its last byte missing it is none."""
    if is_chunked:
        chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    else:
        data = an_answer(body=body)
    answer = outcome(cut(data, cuts))
    assert answer is not None
    assert answer.body == body
    assert outcome(cut(data[: -min(missing, len(data))], cuts)) is None
