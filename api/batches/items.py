"""Lines or one document -> jobs of a batch, with every fault named by line and field, and none of them quoted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from api import shape
from api.batches import webhooks
from api.batches.schemas import BatchHeader, BatchItem, BatchOptions, BatchRequest, JudgeItem
from api.convert import contents, job_of
from api.errors import FieldError, InvalidRequest, TooLarge
from api.judge.plan import plan_of
from api.parse import BOM, MAX_ERRORS, parse
from jobs.model import Lane, SharedPart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from api.batches.body import Body
    from api.schemas import FileContent
    from api.settings import ApiSettings
    from jobs.batches.model import Draft
    from jobs.model import Job

MAX_CUSTOM_ID = 256
MAX_METADATA = 16
MAX_METADATA_CHARACTERS = 1_024
_SHAREABLE = ("code", "stdin", "files", "args", "env", "outputs")
_SHARED_FROM_BYTES = 1_024
"""A default smaller than this is in each item that takes it: blocks of items are compressed."""
_NOTHING = SharedPart(code="")
_AT_ONCE = 20
"""Items between two looks at who else waits: some hundred microseconds of work."""


class Place(NamedTuple):
    """Where an item stands in the body."""

    field: str
    line: int | None

    def error(self, field: str, message: str) -> FieldError:
        """What is wrong there."""
        inside = field if field != "body" or not self.field else ""
        return FieldError(".".join(part for part in (self.field, inside) if part), message, self.line)


Item = BatchItem | JudgeItem


class Items:
    """The items of one body as jobs. Read `options` and `shared` when all of them have been given."""

    def __init__(self, body: Body, draft: Draft, settings: ApiSettings) -> None:
        self._body, self._draft, self._settings = body, draft, settings
        self._most = settings.batch_items
        self._defaults: dict[str, Any] = {}
        self._large: set[str] = set()
        self._seen: set[int] = set()
        self._errors: list[FieldError] = []
        self.options = BatchOptions()
        self.shared: SharedPart | None = None
        """Large defaults that items take: stored once, however many do."""

    async def jobs(self) -> AsyncIterator[Job]:
        """Each item as a job, until the first fault. Raises InvalidRequest with up to 20 of them, TooLarge."""
        count = 0
        async for place, item in self._items():
            job = self._checked(place, item, count)
            count += 1
            if count % _AT_ONCE == 0 or self._large:
                await asyncio.sleep(0)
            if len(self._errors) >= MAX_ERRORS or count > self._most:
                break
            if job is not None and not self._errors:
                yield job
        if count > self._most:
            self._errors.append(FieldError("items", f"must be at most {self._most}"))
        if not count and not self._errors:
            self._errors.append(FieldError("items", "must be at least one"))
        if self._errors:
            raise InvalidRequest(self._errors[:MAX_ERRORS])

    def _checked(self, place: Place, item: Item | FieldErrors, index: int) -> Job | None:
        if isinstance(item, FieldErrors):
            self._errors += item.errors
            return None
        try:
            return self._job(item, index)
        except InvalidRequest as error:
            self._errors += [place.error(one.field, one.message) for one in error.errors]
        except TooLarge as error:
            self._errors.append(place.error(error.field, f"over the bound of {error.bound_bytes} bytes"))
        return None

    def _job(self, item: Item, index: int) -> Job:
        name = item.custom_id
        if not 1 <= len(name) <= MAX_CUSTOM_ID:
            raise InvalidRequest([FieldError("custom_id", f"must be 1 to {MAX_CUSTOM_ID} characters")])
        # A digest of each id, 8 bytes: what is held of a batch while it comes in must not grow with its ids.
        digest = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
        if digest in self._seen:
            raise InvalidRequest([FieldError("custom_id", "is that of an item before")])
        self._seen.add(digest)
        draft = self._draft
        missing = (self._defaults.keys() & type(item).model_fields.keys()) - item.model_fields_set
        if missing:
            item = item.model_copy(update={field: self._defaults[field] for field in missing})
        job = self._sharing(self._plain(item, f"{draft.id}-{index}"), self._large & missing)
        return replace(
            job,
            lane=Lane.BATCH,
            deadline_at=draft.created_at + draft.timeout_s,
            keep_result=False,
            batch=draft.id,
            index=index,
            custom_id=name,
        )

    def _plain(self, item: Item, job_id: str) -> Job:
        """What the item asks for, without its batch."""
        if isinstance(item, JudgeItem):
            plan = plan_of(item, self._settings, part_id=job_id, reply_to=None)
            return plan.whole(shown_bytes=self._settings.judge_output_bytes)
        return job_of(item, self._settings, job_id=job_id, now=self._draft.created_at, reply_to=None)

    def _sharing(self, job: Job, fields: set[str]) -> Job:
        """The checked job without what it shares with others."""
        if not fields:
            return job
        if self.shared is None:
            given = {field: self._defaults[field] for field in self._large}
            tuples = {field: tuple(value) for field, value in given.items() if isinstance(value, list)}
            self.shared = replace(_NOTHING, **given | tuples)
        nothing: dict[str, Any] = {field: getattr(_NOTHING, field) for field in fields}
        return replace(job, shared=self._draft.id, shares=tuple(sorted(fields)), **nothing)

    async def _items(self) -> AsyncIterator[tuple[Place, Item | FieldErrors]]:
        if not self._body.is_lines:
            async for one in self._document():
                yield one
            return
        first = True
        async for number, raw in self._body.lines(bound_bytes=self._settings.max_body_bytes):
            line = raw.removeprefix(BOM)
            if first and _is_header(line):
                self._take(_parsed_header(line, number))
            else:
                place = Place("", number)
                yield place, _parsed(line, place)
            first = False

    async def _document(self) -> AsyncIterator[tuple[Place, Item | FieldErrors]]:
        bound_bytes, whole = self._settings.max_body_bytes, bytearray()
        async for piece in self._body.pieces():
            whole += piece
            if len(whole) > bound_bytes:
                raise TooLarge(field="body", bound_bytes=bound_bytes)
        split = _split(bytes(whole).removeprefix(BOM), self._most)
        self._take(split.options)
        for index, item in enumerate(split.items):
            place = Place(f"items.{index}", None)
            yield place, _parsed(bytes(item), place)

    def _take(self, options: BatchOptions) -> None:
        self.options = options
        if options.webhook:
            webhooks.check(options.webhook.url, self._settings)
        defaults = options.defaults
        self._defaults = {field: getattr(defaults, field) for field in defaults.model_fields_set}
        if "files" in self._defaults:
            self._defaults["files"] = self._default_files(defaults.files)
        self._large = {field for field in _SHAREABLE if _size(self._defaults.get(field)) >= _SHARED_FROM_BYTES}
        self._errors += _metadata_faults(options.metadata)

    def _default_files(self, files: Mapping[str, str | FileContent]) -> dict[str, bytes]:
        """Decoded once, for all items."""
        try:
            return contents(files, self._settings.max_files_bytes)
        except InvalidRequest as error:
            self._errors += [one._replace(field=f"defaults.{one.field}") for one in error.errors]
        except TooLarge as error:
            self._errors.append(FieldError("defaults.files", f"over the bound of {error.bound_bytes} bytes"))
        return {}


class FieldErrors(NamedTuple):
    """A line that is no item."""

    errors: list[FieldError]


def _size(value: object) -> int:
    return len(msgspec.msgpack.encode(value))


def _has_cases(data: bytes) -> bool:
    if b'"cases"' not in data:
        return False
    try:
        return msgspec.json.decode(data, type=_Kind).cases is not msgspec.UNSET
    except shape.DECODING:
        return False  # whoever parses it says what it is


class _Kind(msgspec.Struct):
    """What tells a judge request from an eval's; the rest is passed over."""

    cases: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _is_header(line: bytes) -> bool:
    return line.lstrip().removeprefix(b"{").lstrip().startswith(b'"batch"')


def _parsed_header(line: bytes, number: int) -> BatchOptions:
    try:
        return parse(BatchHeader, line).batch
    except InvalidRequest as error:
        raise InvalidRequest([one._replace(line=number) for one in error.errors]) from None


def _parsed(data: bytes, place: Place) -> Item | FieldErrors:
    try:
        return parse(JudgeItem, data) if _has_cases(data) else parse(BatchItem, data)
    except InvalidRequest as error:
        return FieldErrors([place.error(one.field, one.message) for one in error.errors])


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """A document, its items unread: to read all of them at once would hold up whoever waits for an eval."""

    items: list[msgspec.Raw]
    defaults: msgspec.Raw = msgspec.Raw(b"{}")
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    webhook: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def options(self) -> BatchOptions:
        """All of it but the items. Raises InvalidRequest."""
        parts = (self.defaults, self.metadata, self.webhook)
        return parse(BatchOptions, b'{"defaults": %b, "metadata": %b, "webhook": %b}' % tuple(map(bytes, parts)))


class _Item(msgspec.Struct, gc=False):
    """What every item has; the rest is passed over."""

    custom_id: str


class _Outline(_Document, forbid_unknown_fields=True):
    """A document of which it is only asked how many items there are."""

    items: list[_Item]  # type: ignore[assignment]


def _split(data: bytes, most: int) -> _Document:
    """Cut it into items, of which there are not many more than `most`. Raises InvalidRequest."""
    try:
        if data.count(b",") > most:
            _counted(msgspec.json.decode(data, type=_Outline), most)
        return msgspec.json.decode(data, type=_Document)
    except shape.DECODING as error:
        if shape.few(data):
            parse(BatchRequest, data)  # which tells all that is wrong
        raise InvalidRequest([shape.named(error, data)]) from None


def _counted(outline: _Outline, most: int) -> None:
    if len(outline.items) > most:
        raise InvalidRequest([FieldError("items", f"must be at most {most}")])


def _metadata_faults(metadata: dict[str, str]) -> Iterator[FieldError]:
    if len(metadata) > MAX_METADATA:
        yield FieldError("metadata", f"must be at most {MAX_METADATA} pairs")
    if any(len(text) > MAX_METADATA_CHARACTERS for pair in metadata.items() for text in pair):
        yield FieldError("metadata", f"must be of texts of at most {MAX_METADATA_CHARACTERS} characters")
