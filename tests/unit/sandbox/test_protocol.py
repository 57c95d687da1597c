from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest import protocol

texts = st.text(st.characters(codec="utf-8"))
headers = st.dictionaries(
    texts.filter(lambda key: key != "blobs"), st.none() | st.booleans() | st.integers() | texts | st.lists(texts)
)


@given(header=headers, blobs=st.lists(st.binary()))
def test_a_job_frame_comes_out_as_it_went_in(header: dict[str, object], blobs: list[bytes]) -> None:
    frame = protocol.pack_job(header, blobs)
    head, body = protocol.unpack_head(frame[: protocol.HEAD_BYTES])
    rest = frame[protocol.HEAD_BYTES :]

    assert len(rest) == head + body
    assert protocol.unpack_job(rest[:head], rest[head:]) == ({**header, "blobs": [len(b) for b in blobs]}, blobs)


def test_the_words_of_the_cell_channel_differ() -> None:
    assert len({protocol.WARM, protocol.FAILED, protocol.FOLDERS}) == 3
