"""What doctor reads from Alertmanager, and a test alert that is refused."""

from typing import Any

import pytest

from redis_pulse.doctor.checks.alertmanager import examine_alertmanager
from redis_pulse.doctor.http import HttpClient
from tests.doctor.apis import api

CONFIG = "route: {receiver: ops}\nreceivers: [{name: ops, webhook_configs: [{url: 'http://x'}]}]\n"


async def codes(answers: dict[str, Any], *, send: bool = False) -> list[str]:
    with api(answers) as url:
        return (await examine_alertmanager(HttpClient.from_url(url), send_test_alert=send)).codes()


async def test_routes_are_notes() -> None:
    assert await codes({"/api/v2/status": {"config": {"original": CONFIG}}}) == ["RP912"] * 3


async def test_refused_test_alert_is_named() -> None:
    answers = {"/api/v2/status": {"config": {"original": CONFIG}}, "POST /api/v2/alerts": 403}
    assert await codes(answers, send=True) == [*["RP912"] * 3, "RP915"]


@pytest.mark.parametrize("answer", [[], {"config": 1}, {"config": {"original": "a: [" * 500}}, 500])
async def test_answer_of_another_program_is_named(answer: Any) -> None:
    assert await codes({"/api/v2/status": answer}) == ["RP911"]
