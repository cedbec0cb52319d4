"""What verify asks for beyond the replay itself, and how it knows that entries are pending."""

from pathlib import Path

import pytest
import redis.asyncio

from loadtests.replay.options import Options
from loadtests.replay.report import Outcome
from loadtests.replay.run import CannotRun
from loadtests.verify.__main__ import parse, shortcomings, verify
from loadtests.verify.interruption import GROUP, STREAM, pending_entries
from server.stack import RedisServer


async def test_pending_entries_are_those_handed_out_and_not_acknowledged(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await pending_entries(client) == 0, "without a stream nothing is pending"
        await client.xadd(STREAM, {"records": b"1"})
        await client.xadd(STREAM, {"records": b"2"})
        await client.xgroup_create(STREAM, GROUP, id="0")
        assert await pending_entries(client) == 0, "nothing was handed out yet"
        ((_, entries),) = await client.xreadgroup(GROUP, "worker", {STREAM: ">"})
        assert await pending_entries(client) == 2
        await client.xack(STREAM, GROUP, entries[0][0])
        assert await pending_entries(client) == 1


async def test_a_redis_that_is_gone_has_nothing_pending(own_redis: RedisServer) -> None:
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        own_redis.kill()
        assert await pending_entries(client) == 0


def test_a_run_without_a_kill_falls_short() -> None:
    assert list(shortcomings(Outcome(1, [], [], pending_at_kill=0)))[-1] == (
        "the worker was not killed with entries pending"
    )
    assert "killed" not in " ".join(shortcomings(Outcome(1, [], [], pending_at_kill=2)))


@pytest.mark.parametrize("riders", [None, 5])
async def test_without_a_track_nothing_is_started(tmp_path: Path, riders: int | None) -> None:
    tracks, system = tmp_path / "tracks", tmp_path / "system"
    with pytest.raises(CannotRun, match="tracks is not a directory"):
        await verify(Options(tracks=tracks, riders=riders), system)
    tracks.mkdir()
    (tracks / "broken.gpx").write_text("<gpx><trk>")
    with pytest.raises(CannotRun, match="no track to ride in"):
        await verify(Options(tracks=tracks, riders=riders), system)
    assert not system.exists()


@pytest.mark.parametrize("wrong", [("--riders", "-3"), ("--riders", "0"), ("--within", "-1"), ("--within", "nan")])
def test_an_argument_that_makes_no_sense_ends_it_with_usage(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--tracks", "anywhere", *wrong])
    assert ended.value.code == 2
    assert f"argument {wrong[0]}: " in capsys.readouterr().err
