"""Every form of a result shows the claim of a paper and its verdict."""

import ffprobe


def _claim(agrees, p=float("nan")):
    return ffprobe.Claim("Paper, Figure 1", "It rises.", "It fell from 2 to 1.", agrees, p)


def _result(agrees):
    claim = _claim(agrees)
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
        "verdict": "differs",
        "p": None,
        "not_comparable": "",
    }


def test_claims_that_are_not_comparable_are_counted_and_stay_in_json():
    one = ffprobe.Claim("Paper A", "It rises.", "It fell.", not_comparable="another network (tiny)")
    result = ffprobe.Result("toy", "Does it rise?", [ffprobe.Column("value")], [(1,)], claims=[one, _claim(True)])
    assert "1 claim is not comparable with these runs; --json lists it." in result._repr_html_()
    assert "Paper A" not in result._repr_html_()
    assert [claim["verdict"] for claim in result.to_dict()["claims"]] == ["not comparable", "agrees"]
    assert result.to_dict()["claims"][0]["not_comparable"] == "another network (tiny)"


def test_p_values_are_corrected_within_one_analysis():
    claims = [_claim(True, 0.02), _claim(False, 0.04), _claim(None, 0.5), _claim(True)]
    result = ffprobe.Result("toy", "Does it rise?", [ffprobe.Column("value")], [(1,)], claims=claims)
    assert [claim.verdict for claim in result.claims] == ["inconclusive", "inconclusive", "inconclusive", "agrees"]
    assert [claim["p"] for claim in result.to_dict()["claims"]] == [0.06, 0.08, 0.5, None]
    assert "Not significant: p = 0.06 (Holm-Bonferroni)." in result.claims[0].here
    alone = ffprobe.Result("toy", "Does it rise?", [ffprobe.Column("value")], [(1,)], claims=claims[:1])
    assert alone.claims[0].agrees is True
