"""The daemon behind a simulated IAM: tokens of 20 s, and connections that are cut when their token ends."""

from simulate.run import run_seed
from simulate.tokens import LIFE

#: Without faults no ping may fail: the rule ``lost`` of ``simulate/checks.py`` applies to it.
QUIET_SEED = 20
#: ``python -m simulate.episode 20 1`` runs a whole hour.
HOURS = 0.1


def test_no_ping_is_lost_while_tokens_end() -> None:
    result = run_seed(QUIET_SEED, HOURS)
    assert result["violations"] == []
    assert result["logins"] > HOURS * 3600 / LIFE
    assert result["cut_connections"] > 0, "an idle connection of the polls outlives its token"
