"""The load generator's HTTP client reads what real servers send."""

import pytest

from benchmarks.client import ProtocolViolation, Response, ResponseParser

BODY = b'{"status":"ok"}'
HEAD = b"HTTP/1.1 200 OK\r\nserver: x\r\nContent-Length: 15\r\n\r\n"


@pytest.mark.parametrize("cut", range(1, len(HEAD + BODY)))
def test_a_response_split_anywhere_is_read_whole(cut):
    parser = ResponseParser()
    raw = HEAD + BODY

    assert parser.feed(raw[:cut]) is None
    assert parser.feed(raw[cut:]) == Response(200, BODY, keep_alive=True)


def test_a_response_byte_by_byte_is_read_whole():
    parser = ResponseParser()

    answers = [parser.feed(bytes([byte])) for byte in HEAD + BODY]

    assert answers[-1] == Response(200, BODY, keep_alive=True)
    assert set(answers[:-1]) == {None}


def test_one_parser_reads_response_after_response():
    parser = ResponseParser()

    assert [parser.feed(HEAD + BODY).code for _ in range(3)] == [200] * 3


def test_header_names_are_read_in_any_case_and_the_body_may_be_empty():
    response = ResponseParser().feed(b"HTTP/1.1 429 No\r\nCONTENT-LENGTH:0\r\nConnection: close\r\n\r\n")

    assert response == Response(429, b"", keep_alive=False)


CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"statu\r\n8\r\ns":"ok"}\r\n0\r\n\r\n'


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
def test_chunks_split_anywhere_are_read_whole(cut):
    parser = ResponseParser()

    assert parser.feed(CHUNKED[:cut]) is None
    assert parser.feed(CHUNKED[cut:]) == Response(200, BODY, keep_alive=True)
    assert parser.feed(HEAD + BODY) == Response(200, BODY, keep_alive=True)


def test_an_answer_without_a_length_is_refused_not_misread():
    with pytest.raises(ProtocolViolation):
        ResponseParser().feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
