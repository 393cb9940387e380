from tests.integration.admin.checked_api import CheckedApi


async def test_where_the_memory_went_is_shown_with_what_was_done(api: CheckedApi) -> None:
    found = (await api.get("/node/memory")).body
    assert found["host"]["available_mib"] == 8_192
    assert (found["node_mib"], found["database_mib"], found["guests_mib"]) == (150, 40, 5)
    assert found["zram"] == {"holds_mib": 80, "takes_mib": 25}
    assert found["merged"]["saved_mib"] == 370
    [guest] = found["guests"]
    assert (guest["state"], guest["swapped_mib"], guest["programs_mib"]) == ("hibernated", 80, 4)
    [action] = found["actions"]
    assert (action["what"], action["reason"]) == ("hibernate", "nobody has used it for 400 s")
