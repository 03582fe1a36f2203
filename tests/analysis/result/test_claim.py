"""Every form of a result shows the claim of a paper and its verdict."""

import ffprobe


def _result(agrees):
    claim = ffprobe.Claim("Paper, Figure 1", "It rises.", "It fell from 2 to 1.", agrees)
    return ffprobe.Result("toy", "Does it rise?", [ffprobe.Column("value")], [(1,)], claims=[claim])


def test_a_claim_is_a_sentence_with_a_verdict():
    for agrees, word in ((True, "agrees"), (False, "differs"), (None, "inconclusive")):
        text = f"Paper, Figure 1: It rises. Here: It fell from 2 to 1. ({word})"
        result = _result(agrees)
        assert str(result.claims[0]) == text
        assert text in result._repr_html_()


def test_a_claim_is_data():
    document = _result(False).to_dict()["claims"][0]
    assert document == {
        "source": "Paper, Figure 1",
        "said": "It rises.",
        "here": "It fell from 2 to 1.",
        "agrees": False,
    }
