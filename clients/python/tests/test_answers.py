"""Generated answers, checked."""

from __future__ import annotations

import uuid

import pytest
from conftest import FACE, Either

from veriframe import InvalidArgument, Item, NotFound, Scope

ANSWER = "The teeth are uneven. There are two hats."


def test_an_answer_claim_by_claim(client: Either) -> None:
    checked = client.call(lambda c: c.verify_answer(ANSWER, FACE, heatmaps=True))
    assert [claim.text for claim in checked.claims] == [
        "The teeth are uneven",
        "There are two hats",
    ]
    teeth, hats = checked.claims
    assert teeth.status == "supported"
    assert 0.7 < teeth.confidence <= 1
    assert hats.status == "unsupported_claim_type"
    assert hats.confidence is None
    assert (teeth.claim.kind, teeth.claim.start_byte, teeth.claim.end_byte) == ("attribute", 0, 20)
    assert "even" in teeth.claim.contradictions[0]
    assert {each.witness for each in teeth.testimonies} == {"pixels", "regions", "detector"}
    pixels = next(each for each in teeth.testimonies if each.witness == "pixels")
    assert (pixels.stance, pixels.citations[0].image) == ("for", 0)
    assert teeth.heatmaps[0].values.shape == (14, 14)
    assert (checked.checked, checked.unchecked) == (1, 1)
    assert set(checked.without) == {"pixels", "regions"}


def test_by_evidence_alone(client: Either) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.call(lambda c: c.evidence.create(name, model="evidence"))
    note = Item("The teeth are uneven.", id="n", title="A note", metadata={"subject": "7"})
    client.call(lambda c: c.evidence.put(name, note))
    scope = Scope(name, where={"subject": "7"})
    checked = client.call(
        lambda c: c.verify_answer("The teeth are uneven.", evidence=scope, witnesses=["text"])
    )
    (claim,) = checked.claims
    (testimony,) = claim.testimonies
    assert (claim.status, testimony.stance) == ("supported", "for")
    (citation,) = testimony.citations
    assert (citation.item_id, citation.title, citation.image) == ("n", "A note", None)
    assert checked.calibration.name.startswith("claims-")
    client.call(lambda c: c.evidence.drop(name))


def test_over_a_video(client: Either) -> None:
    results, stream = client.stream(
        lambda c: c.verify_answer_stream("The teeth are uneven.", [FACE, b"none", FACE])
    )
    assert [each.sequence for each in results] == [0, 1, 2]
    assert [len(each.support) for each in results] == [1, 0, 1]
    assert isinstance(results[1].error, InvalidArgument)
    assert stream.answer.status == "supported"
    assert stream.answer.claims[0].testimonies[0].citations[0].sequence in (0, 2)


def test_splitting(client: Either) -> None:
    split = client.call(lambda c: c.split_answer("#mismatched_pupils, uneven teeth"))
    assert split.cues == ("mismatched pupils", "uneven teeth")
    assert split.claims[1].text == "uneven teeth"


def test_what_cannot_be_checked(client: Either) -> None:
    with pytest.raises(InvalidArgument, match="answer"):
        client.call(lambda c: c.verify_answer("", FACE))
    with pytest.raises(NotFound, match="none-such"):
        client.call(lambda c: c.verify_answer(ANSWER, evidence="none-such"))
    with pytest.raises(ValueError, match='witnesses is "eyes", none of: pixels, regions'):
        client.call(lambda c: c.verify_answer(ANSWER, FACE, witnesses=["eyes"]))
    with pytest.raises(InvalidArgument):
        client.stream(lambda c: c.verify_answer_stream("", [FACE]))
