"""Collections of evidence."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timezone

import numpy as np
import pytest
from conftest import FACE, Either

from veriframe import AlreadyExists, Filter, InvalidArgument, Item, Not, NotFound


@pytest.fixture
def name(client: Either) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.call(lambda c: c.evidence.create(name, model="evidence", detector="yolo"))
    yield name
    client.call(lambda c: c.evidence.drop(name))


TIME = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
DOSSIER = Item(
    "The teeth of subject 7 are uneven.",
    id="dossier",
    source_uri="https://example.org/7",
    title="Dossier",
    time=TIME,
    metadata={"subject": "7", "year": 2020, "tags": ["face", "teeth"], "checked": True},
)
PICTURE = Item(image=FACE, id="picture", metadata={"subject": "7"})
NOTE = Item("The sky is blue.", id="note", metadata={"subject": "8", "year": 2022})


def test_items_come_back_as_they_were_put_in(client: Either, name: str) -> None:
    put = client.call(lambda c: c.evidence.put(name, [DOSSIER, PICTURE, NOTE]))
    assert [(each.id, each.ok) for each in put] == [
        ("dossier", True),
        ("picture", True),
        ("note", True),
    ]
    assert [chunk.kind for chunk in put[0].chunks] == ["text"]
    assert {"image", "region"} == {chunk.kind for chunk in put[1].chunks}
    ids = ["dossier", "none", "picture"]
    dossier, picture = client.call(lambda c: c.evidence.get(name, ids, with_images=True))
    assert dossier.text == DOSSIER.text
    assert (dossier.title, dossier.source_uri, dossier.time) == (
        DOSSIER.title,
        DOSSIER.source_uri,
        TIME,
    )
    assert dossier.metadata == {
        "subject": "7",
        "year": 2020.0,
        "tags": ("face", "teeth"),
        "checked": True,
    }
    assert picture.image == FACE.read_bytes()
    told = client.call(lambda c: c.evidence.describe(name))
    assert (told.items, told.text_chunks, told.image_chunks) == (3, 2, 1)
    assert told.model.name == "evidence"
    assert name in {each.name for each in client.call(lambda c: c.evidence.collections())}


def test_an_item_fails_by_itself(client: Either, name: str) -> None:
    bad = Item(image=b"no picture", id="bad")
    put = client.call(lambda c: c.evidence.put(name, [bad, NOTE]))
    assert [each.ok for each in put] == [False, True]
    assert isinstance(put[0].error, InvalidArgument)
    assert "items[0].image" in put[0].error.message
    with pytest.raises(TypeError, match=r"metadata\['when'\] is .*none of: text, number"):
        client.call(lambda c: c.evidence.put(name, Item("a", metadata={"when": TIME})))


def test_search(client: Either, name: str) -> None:
    client.call(lambda c: c.evidence.put(name, [DOSSIER, PICTURE, NOTE]))
    by_text = client.call(lambda c: c.evidence.search(name, "uneven teeth", kinds=["text"]))
    assert by_text.hits[0].item.id == "dossier"
    assert by_text.hits[0].text == DOSSIER.text
    assert by_text.hits[0].score > by_text.hits[1].score
    by_image = client.call(lambda c: c.evidence.search(name, image=FACE, limit=1))
    assert (by_image.hits[0].item.id, by_image.hits[0].chunk.kind) == ("picture", "image")
    assert by_image.hits[0].score == pytest.approx(1, abs=1e-3)
    vector = client.call(lambda c: c.embed(FACE, model="evidence")).image
    by_vector = client.call(lambda c: c.evidence.search(name, embedding=vector, limit=1))
    assert by_vector.hits[0].score == pytest.approx(by_image.hits[0].score, abs=1e-3)
    mixed = client.call(
        lambda c: c.evidence.search(
            name, "The sky is blue.", image=FACE, weights={"text": 1, "image": 0}, limit=1
        )
    )
    assert mixed.hits[0].item.id == "note"
    with pytest.raises(ValueError, match="weights of picture; there is text, image, embedding"):
        client.call(lambda c: c.evidence.search(name, "a", weights={"picture": 1}))
    with pytest.raises(ValueError, match=r"shape \[2, 2\], \[width\] is needed"):
        client.call(lambda c: c.evidence.search(name, embedding=np.zeros((2, 2))))


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"subject": "7"}, {"dossier", "picture"}),
        ({"subject": ["7", "8"]}, {"dossier", "picture", "note"}),
        ({"subject": Not("7")}, {"note"}),
        ({"tags": "teeth"}, {"dossier"}),
        ({"checked": True}, {"dossier"}),
        ({"year": 2020}, {"dossier"}),
        ({"year": (2021, None)}, {"note"}),
        ({"year": (None, 2021)}, {"dossier"}),
        ({"year": (2019, 2023), "subject": "8"}, {"note"}),
        ({"year": None}, {"picture"}),
        ({"year": Not(None)}, {"dossier", "note"}),
        (Filter(ids=["note"]), {"note"}),
        (Filter(source_uris=["https://example.org/7"]), {"dossier"}),
        (Filter(not_before=TIME), {"dossier"}),
        # Without a zone it is UTC.
        (Filter(before=datetime(2024, 5, 1, 12)), set()),
    ],
)
def test_filters(client: Either, name: str, where: object, ids: set[str]) -> None:
    client.call(lambda c: c.evidence.put(name, [DOSSIER, PICTURE, NOTE]))
    found = client.collect(lambda c: c.evidence.list(name, where=where))
    assert {item.id for item in found} == ids


def test_a_filter_that_is_none(client: Either, name: str) -> None:
    client.call(lambda c: c.evidence.put(name, DOSSIER))
    with pytest.raises(InvalidArgument, match="range without bounds"):
        client.collect(lambda c: c.evidence.list(name, where={"year": (None, None)}))
    with pytest.raises(InvalidArgument, match="tail"):
        client.collect(lambda c: c.evidence.list(name, where={"tail": "long"}))
    with pytest.raises(TypeError, match=r"where\['year'\] is \[1, 2\], none of"):
        client.collect(lambda c: c.evidence.list(name, where={"year": [1, 2]}))


def test_many_items(client: Either, name: str) -> None:
    items = (Item(f"Note number {number}.", id=str(number)) for number in range(150))
    results, stream = client.stream(lambda c: c.evidence.ingest(name, items))
    assert [each.id for each in results] == [str(number) for number in range(150)]
    assert all(each.ok for each in results)
    assert stream.resumed == 0
    listed = client.collect(lambda c: c.evidence.list(name, page_size=40))
    assert sorted(int(item.id) for item in listed) == list(range(150))
    assert client.call(lambda c: c.evidence.delete(name, ["1", "2", "none"])) == 2


def test_collections_that_are_and_are_not_there(client: Either, name: str) -> None:
    with pytest.raises(AlreadyExists) as there:
        client.call(lambda c: c.evidence.create(name))
    assert there.value.resource == name
    with pytest.raises(NotFound, match="none-such"):
        client.call(lambda c: c.evidence.describe("none-such"))
    with pytest.raises(NotFound, match="none-such"):
        client.stream(lambda c: c.evidence.ingest("none-such", [NOTE]))
