"""Restored videos keep every frame's time and the sound, and interruptions lose nothing."""

import functools
import itertools
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.picture_files import identity
from vmambair_arch import Restorer, cli, save_network
from vmambair_arch.commands.restore import videos
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.video import Result, encoding, muxing, restore_video

av = pytest.importorskip("av")

COUNT = 10
TIMES = [512 * n for n in range(COUNT)]  # in units of 1/12800 s: 25 frames a second


def picture(number: int, h: int = 32, w: int = 48) -> np.ndarray:
    """A smooth RGB picture, another for each number."""
    y, x = np.mgrid[:h, :w]
    planes = 40 + 5 * x % 180, 20 + 6 * y + 0 * x, 200 - 4 * number + 0 * x
    return np.stack(planes, -1).clip(0, 255).astype(np.uint8)


def write_video(
    path: Path,
    *,
    times=TIMES,
    size=(32, 48),
    sound: str | None = "aac",
    tracks: int = 1,
    preview: bool = False,
    matrix: int = 6,
    pix_fmt: str = "yuv420p",
    pictures=picture,
) -> Path:
    """A video of numbered pictures, with tones; if wanted, a small preview comes first."""
    with av.open(path, "w") as output:
        output.metadata["title"] = "ten pictures"
        small = output.add_stream("libx264", 25) if preview else None
        video = output.add_stream("libx264", 25, {"crf": "0"} if pix_fmt == "yuv444p" else None)
        video.height, video.width = size
        video.pix_fmt = pix_fmt
        video.codec_context.time_base = Fraction(1, 12800)
        video.codec_context.colorspace = matrix
        video.codec_context.color_range = 1
        audio = [output.add_stream(sound, 16000) for _ in range(tracks)] if sound else []
        for track in audio:
            track.bit_rate = 32000
        if small is not None:
            small.height, small.width, small.pix_fmt = 16, 16, "yuv420p"
            frame = av.VideoFrame.from_ndarray(pictures(0, 16, 16), format="rgb24")
            output.mux(small.encode(frame.reformat(format="yuv420p")))
            output.mux(small.encode())
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(pictures(number, *size), format="rgb24").reformat(
                format=pix_fmt, dst_colorspace=matrix if matrix == 1 else 5, dst_color_range=1
            )
            frame.pts, frame.time_base = time, Fraction(1, 12800)
            output.mux(video.encode(frame))
        output.mux(video.encode())
        for number, track in enumerate(audio):
            write_tone(output, track, times[-1] / 12800, pitch=6 + number)
    return path


def write_tone(output, audio, seconds: float, pitch: int = 6) -> None:
    tone = np.sin(np.arange(int(16000 * seconds)) / pitch).astype(np.float32)[None]
    frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 16000, 0
    resampler = av.AudioResampler(audio.format, "mono", 16000, audio.frame_size or 1024)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(audio.encode(part))
    output.mux(audio.encode())


def frames(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(path) as container:
        return [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def sound(path: Path, track: int = 0) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(audio=track) if packet.size]


def double(image: np.ndarray) -> np.ndarray:
    return image.repeat(2, 0).repeat(2, 1)


def same(image: np.ndarray) -> np.ndarray:
    return image


class Stopped:
    """``same``, whose call number ``at`` raises an error."""

    def __init__(self, at: int, error: type[BaseException]):
        self.at, self.error, self.calls = at, error, 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return image


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_every_frame_is_restored_at_its_time_and_the_sound_is_kept(tmp_path, suffix):
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / f"out{suffix}"
    restore_video(source, target, double, made_with="double", part=4, crf=0)
    before, after = frames(source), frames(target)
    start = after[0][0]  # Matroska may shift all times, so that no sound begins before zero
    times = [time - start for time, _ in after]
    assert times == pytest.approx([time for time, _ in before], abs=2e-3)
    shifts = suffix == ".mkv" and av.library_versions["libavformat"] < (63,)  # before FFmpeg 9
    assert start == (pytest.approx(0.064, abs=2e-3) if shifts else 0)
    for (_, given), (_, made) in zip(before, after, strict=True):
        assert made.shape == (64, 96, 3)
        assert np.abs(made.astype(int) - double(given)).mean() < 2
    assert sound(target) == sound(source) != []
    with av.open(target) as container:
        assert container.metadata["title"] == "ten pictures"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", target.name])


@pytest.mark.parametrize("part", [1, 3, 7, 8])
def test_videos_of_any_length_keep_all_frames(tmp_path, part):
    for number in (1, 2, 6, 7, 8, 14, 15):
        source, target = tmp_path / f"{number}.mp4", tmp_path / f"out{number}.mp4"
        write_video(source, times=TIMES[:1] + [512 * n for n in range(1, number)], sound=None)
        restore_video(source, target, same, made_with="same", part=part)
        assert len(frames(target)) == number


def test_sound_may_last_longer_than_the_few_pictures_of_a_matroska_file(tmp_path):
    source, target = tmp_path / "song.mkv", tmp_path / "out.mkv"
    with av.open(source, "w") as output:
        video, audio = output.add_stream("libx264", 25), output.add_stream("aac", 16000)
        video.height, video.width, video.pix_fmt = 32, 48, "yuv420p"
        output.mux(video.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        output.mux(video.encode())
        write_tone(output, audio, seconds=1)
    result = restore_video(str(source), str(target), same, made_with="same")
    assert (result.frames, result.lacking) == (1, ())
    assert sound(target) == sound(source) != []


def test_a_video_that_lost_a_frame_is_not_written(tmp_path, monkeypatch):
    source = write_video(tmp_path / "in.mp4")
    packets, copies = muxing._frames, muxing._copies
    monkeypatch.setattr(muxing, "_frames", lambda *given: itertools.islice(packets(*given), 9))
    with pytest.raises(InputError, match="out.mp4: would have 9 of 10 frames"):
        restore_video(source, tmp_path / "out.mp4", same, made_with="same")
    monkeypatch.setattr(muxing, "_frames", packets)
    monkeypatch.setattr(muxing, "_copies", lambda *given: itertools.islice(copies(*given), 3))
    with pytest.raises(InputError, match="would have 0.19 s of 0.[34]. s of sound"):
        restore_video(source, tmp_path / "out.mp4", same, made_with="same")
    assert not (tmp_path / "out.mp4").exists()


def test_times_of_a_variable_frame_rate_are_kept(tmp_path):
    times = [0, 100, 1700, 1800, 9000, 9001]
    source = write_video(tmp_path / "in.mp4", times=times)
    restore_video(source, tmp_path / "out.mp4", same, made_with="same", part=2)
    with av.open(tmp_path / "out.mp4") as container:
        assert [round(f.time * 12800) for f in container.decode(video=0)] == times


def test_an_interrupted_video_goes_on_from_its_last_part(tmp_path):
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    restore_video(source, tmp_path / "whole.mp4", same, made_with="same", part=4)
    interrupted = Stopped(7, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        restore_video(source, target, interrupted, made_with="same", part=4)
    assert not target.exists()
    assert (tmp_path / ".out.mp4.parts").is_dir()
    told = []
    restore_video(
        source, target, interrupted, made_with="same", part=4, progress=lambda *n: told.append(n)
    )
    assert interrupted.calls == 7 + COUNT - 4
    assert told == [(done, COUNT) for done in range(5, COUNT + 1)]
    expected = frames(tmp_path / "whole.mp4")
    for (time, made), (expected_time, whole) in zip(frames(target), expected, strict=True):
        assert time == expected_time
        assert np.array_equal(made, whole)
    assert not (tmp_path / ".out.mp4.parts").exists()


def test_damaged_parts_are_made_again_and_a_damaged_record_is_refused(tmp_path):
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    parts, told = tmp_path / ".out.mp4.parts", []
    with pytest.raises(KeyboardInterrupt):
        restore_video(source, target, Stopped(10, KeyboardInterrupt), made_with="same", part=3)
    (parts / "00000000.part").write_bytes(b"")
    second = parts / "00000001.part"
    second.write_bytes(second.read_bytes()[: second.stat().st_size * 2 // 3])
    record = (parts / "about.json").read_bytes()
    for damaged in (b"", b"{", b"[]"):
        (parts / "about.json").write_bytes(damaged)
        with pytest.raises(InputError, match="about.json is missing or damaged.*remove the folder"):
            restore_video(source, target, same, made_with="same", part=3)
    (parts / "about.json").write_bytes(record)
    restore_video(
        source, target, same, made_with="same", part=3, progress=lambda done, _: told.append(done)
    )
    assert told == [1, 2, 3, 4, 5, 6, 10] and len(frames(target)) == COUNT


def test_a_film_moved_with_its_parts_goes_on(tmp_path):
    here, there, interrupted = tmp_path / "here", tmp_path / "there", Stopped(7, KeyboardInterrupt)
    here.mkdir()
    source = write_video(here / "in.mp4")
    with pytest.raises(KeyboardInterrupt):
        restore_video(source, here / "out.mp4", interrupted, made_with="same", part=4)
    here.rename(there)
    os.utime(there / "in.mp4", (0, 0))
    restore_video(there / "in.mp4", there / "out.mp4", interrupted, made_with="same", part=4)
    assert interrupted.calls == 7 + COUNT - 4


def test_parts_of_another_film_of_that_name_are_not_joined(tmp_path):
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(InputError, match="in.mp4: frame 5: not enough memory"):
        restore_video(source, target, Stopped(5, MemoryError), made_with="same", part=4)
    write_video(source, pictures=lambda number, h, w: picture(number + 1, h, w))
    with pytest.raises(InputError, match="another run .sha256: "):
        restore_video(source, target, same, made_with="same", part=4)


def test_parts_of_another_model_are_not_joined(tmp_path):
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(InputError, match="in.mp4: frame 5: not enough memory"):
        restore_video(source, target, Stopped(5, MemoryError), made_with="a.pth", part=4)
    with pytest.raises(InputError, match="another run .made with: a.pth, now b.pth"):
        restore_video(source, target, same, made_with="b.pth", part=4)


@pytest.mark.parametrize("matrix", [1, 6])
def test_colours_are_preserved(tmp_path, matrix):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (250, 200, 20), (128, 128, 128)]

    def plain(number, h, w):
        return np.full((h, w, 3), colours[number], np.uint8)

    source = write_video(
        tmp_path / "in.mp4", times=TIMES[:5], matrix=matrix, pictures=plain, sound=None
    )
    seen = []
    restore_video(
        source, tmp_path / "out.mp4", lambda x: seen.append(x) or x, made_with="same", crf=4
    )
    with av.open(tmp_path / "out.mp4") as container:
        assert container.streams.video[0].codec_context.colorspace == matrix
    for image, colour in zip(seen, colours, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 5
    for (_, image), colour in zip(frames(tmp_path / "out.mp4"), colours, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 8


def test_odd_sizes_are_kept(tmp_path):
    source = write_video(tmp_path / "in.mp4", size=(31, 45), pix_fmt="yuv444p", times=TIMES[:3])
    restore_video(source, tmp_path / "out.mp4", same, made_with="same")
    assert frames(tmp_path / "out.mp4")[0][1].shape == (31, 45, 3)


def test_all_tracks_of_sound_are_kept(tmp_path):
    source, target = write_video(tmp_path / "in.mp4", tracks=3), tmp_path / "out.mp4"
    restore_video(source, target, same, made_with="same")
    kept = [sound(target, track) for track in range(3)]
    assert kept == [sound(source, track) for track in range(3)]
    assert kept[0] != kept[1] != kept[2]


def trimmed(path: Path, source: Path, seconds: Fraction) -> Path:
    """A copy whose edit list hides its begin."""
    with av.open(source) as given, av.open(path, "w") as output:
        streams = [output.add_stream_from_template(stream) for stream in given.streams]
        for packet in given.demux():
            if packet.size:
                packet.pts -= int(seconds / packet.time_base)
                packet.dts -= int(seconds / packet.time_base)
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_that_was_cut_off_does_not_come_back(tmp_path, suffix):
    whole, target = write_video(tmp_path / "whole.mp4"), tmp_path / f"out{suffix}"
    source = trimmed(tmp_path / "in.mp4", whole, Fraction(1, 5))
    assert restore_video(source, target, same, made_with="same").lost == ()
    # A packet is 0.064 s; the one before the first that is heard is needed to decode it.
    assert sound(target) == sound(source)[3:] != []
    assert frames(target)[0][0] < 2 * 0.064


def test_a_preview_is_not_taken_for_the_video(tmp_path):
    source = write_video(tmp_path / "in.mp4", preview=True)
    told = []
    restore_video(
        source, tmp_path / "out.mp4", same, made_with="same", progress=lambda *n: told.append(n)
    )
    assert told[-1] == (COUNT, COUNT)
    assert frames(tmp_path / "out.mp4")[0][1].shape == (32, 48, 3)


def test_a_turned_video_comes_out_upright(tmp_path):
    plain = write_video(tmp_path / "plain.mp4", sound=None)
    with av.open(plain) as source, av.open(tmp_path / "in.mp4", "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a turned video")
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    restore_video(tmp_path / "in.mp4", tmp_path / "out.mp4", same, made_with="same")
    upright = frames(tmp_path / "out.mp4")[0][1]
    assert upright.shape == (48, 32, 3)
    expected = np.rot90(frames(plain)[0][1]).astype(int)
    assert np.abs(upright - expected).mean() < 4


def test_sound_that_a_container_cannot_hold_is_reported_before_a_frame_is_restored(tmp_path):
    source, calls = write_video(tmp_path / "in.mkv", sound="wavpack"), []
    with pytest.raises(InputError, match="cannot hold wavpack.*give a name that ends in .mkv$"):
        restore_video(source, tmp_path / "out.mp4", calls.append, made_with="same")
    assert not calls and [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
    restore_video(source, tmp_path / "out.mkv", same, made_with="same")
    assert sound(tmp_path / "out.mkv") == sound(source)


@pytest.mark.parametrize("codec", ["wmav1", "wmav2"])
def test_sound_that_no_container_can_hold_is_refused_with_how_to_convert_it(tmp_path, codec):
    source = write_video(tmp_path / "in.wmv", sound=codec)
    with pytest.raises(InputError, match=f"cannot hold {codec}.*convert the sound first"):
        restore_video(source, tmp_path / "out.mkv", same, made_with="same")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wmv"]


def wide(tmp_path: Path, width: int) -> Path:
    return write_video(tmp_path / "in.mp4", size=(16, width), times=TIMES[:2], sound=None)


def test_a_size_that_cannot_be_encoded_is_refused_before_a_frame_is_restored(tmp_path):
    source, calls = wide(tmp_path, 4112), []
    with pytest.raises(InputError, match="out.mp4: would be 16448 x 64 pixels, .*at most 16384"):
        restore_video(source, tmp_path / "out.mp4", calls.append, made_with="x4", enlarged=4)
    assert not calls and [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_the_largest_size_is_encoded_and_errors_of_encoders_name_the_result(tmp_path, monkeypatch):
    source, target = wide(tmp_path, 8192), tmp_path / "out.mp4"

    def restore(times: int) -> None:
        across = functools.partial(np.repeat, repeats=times, axis=1)
        restore_video(source, target, across, made_with=f"{times}", overwrite=True)

    restore(2)
    with av.open(target) as container:
        assert container.streams.video[0].width == 16384
    with pytest.raises(InputError, match="out.mp4: would be 24576 x 16 pixels"):
        restore(3)
    monkeypatch.setattr(encoding, "LARGEST", 10**6)
    with pytest.raises(InputError, match="out.mp4: its frames or sound cannot be written"):
        restore(3)


@pytest.mark.parametrize("cut", [0.0, 0.5, 0.95])
def test_a_truncated_video_is_one_sentence(tmp_path, cut):
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(InputError, match="in.mp4: ") as raised:
        restore_video(tmp_path / "in.mp4", tmp_path / "out.mp4", same, made_with="same")
    assert "\n" not in str(raised.value) and "Errno" not in str(raised.value)
    assert not (tmp_path / "out.mp4").exists()


def test_bad_input_is_one_sentence(tmp_path, monkeypatch):
    source = write_video(tmp_path / "in.mp4", times=TIMES[:2], sound=None)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "there.mp4").touch()
    with av.open(tmp_path / "sound.mp4", "w") as output:
        write_tone(output, output.add_stream("aac", 16000), 0.5)

    def refused(sentence: str, name: Path, target: str = "out.mp4", **options):
        with pytest.raises(InputError, match=sentence):
            restore_video(name, tmp_path / target, same, made_with="same", **options)

    refused("there is no such video", tmp_path / "missing.mp4")
    refused("is not a complete video", tmp_path / "text.mp4")
    refused("only sound", tmp_path / "sound.mp4")
    refused("must end in .mp4, .m4v, .mov, .mkv", source, "out.avi")
    refused("exists already", source, "there.mp4")
    refused("there is no folder", source, "nowhere/out.mp4")
    refused("crf is 60", source, crf=60)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    refused("pip install 'vmambair-arch.video.'", source)


# the command


@pytest.fixture
def folder(empty_folder) -> Path:
    """A folder with an identity network, a video, a picture and a file that is neither."""
    save_network(identity(1), "same.safetensors")
    write_video(Path("film.mp4"))
    Image.fromarray(picture(0)).save("picture.png")
    Path("broken.mkv").write_bytes(b"no video")
    return Path()


def run(*arguments: str) -> int:
    return cli.vmambair(["restore", *arguments, "-m", "same.safetensors"])


def test_the_command_restores_videos_beside_pictures(folder, capsys):
    assert run("film.mp4", "picture.png", "broken.mkv", "-o", "out", "--suffix", "_x1") == 1
    made = sorted(path.name for path in Path("out").iterdir())
    assert made == ["film_x1.mp4", "picture_x1.png"]
    for (_, given), (_, found) in zip(
        frames(Path("film.mp4")), frames(Path("out/film_x1.mp4")), strict=True
    ):
        assert np.abs(found.astype(int) - given).mean() < 3
    assert sound(Path("out/film_x1.mp4")) == sound(Path("film.mp4"))
    assert "broken.mkv: is not a complete video" in capsys.readouterr().err


def test_patterns_find_videos_and_pictures(folder):
    for name in ("a.mp4", "b.mp4"):
        write_video(Path(name), times=TIMES[:2], sound=None)
    assert run("?.mp4", "a*", "./a.mp4", "pict*", "-o", "out") == 0  # one of them three times
    assert run("[f-z]*m.mp4", "-o", "out.mkv") == 0
    made = sorted(path.name for path in Path("out").iterdir())
    assert made == ["a.mp4", "b.mp4", "picture.png"]
    assert len(frames(Path("out.mkv"))) == COUNT


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["film.mp4", "-o", "-"], "film.mp4: a video cannot be written to standard output"),
        (["x*.mp4", "-o", "out"], "x*.mp4: there is no such video"),
        (["*.m*", "-o", "one.mp4"], "one.mp4: is one file for several inputs"),
        (["film.mp4", "-o", "out", "--suffix", "/x"], "--suffix is /x: it is appended to names"),
        ([300 * "a" + ".mp4", "-o", "out"], "name too long"),
    ],
)
def test_what_the_command_cannot_write_is_refused_before_anything_is_made(
    folder, capsys, arguments, sentence
):
    before = sorted(Path().iterdir())
    assert run(*arguments) == 2
    assert sentence in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before


def test_the_command_only_overwrites_a_video_on_request(folder, capsys):
    before = Path("film.mp4").read_bytes()
    assert run("film.mp4", "-o", "film.mp4") == 2
    assert "film.mp4 exists already; give another output" in capsys.readouterr().err
    assert run("film.mp4", "-o", "film.mp4", "--skip-existing") == 0
    assert Path("film.mp4").read_bytes() == before
    assert run("film.mp4", "-o", "film.mp4", "--overwrite") == 0
    assert len(frames(Path("film.mp4"))) == COUNT
    assert run("film.mp4", "picture.png", "-o", "one.mp4") == 2
    assert run("absent.mp4", "-o", "one.mp4") == 2


def test_parts_depend_on_the_weights_not_only_on_the_models_name(folder, monkeypatch):
    made_with = []
    monkeypatch.setattr(
        videos,
        "restore_video",
        lambda *_, **options: made_with.append(options["made_with"]) or Result(0, (), ()),
    )
    network = identity(1)
    for change in (0.0, 0.0, 1.0):
        network.shallow.weight.data += change
        save_network(network, "same.safetensors")
        assert run("film.mp4", "-o", "out") == 0
    assert made_with[0] == made_with[1] != made_with[2]
    assert "same.safetensors" in made_with[0]


def test_a_lack_of_memory_names_the_film_and_the_next_is_restored(folder, capsys, monkeypatch):
    write_video(Path("other.mp4"))
    monkeypatch.setattr(Restorer, "__call__", Stopped(at=4, error=MemoryError))
    assert run("film.mp4", "other.mp4", "-o", "out") == 1
    assert [path.name for path in Path("out").iterdir()] == ["other.mp4"]
    sentence = "vmambair: film.mp4: frame 3: not enough memory; close other programs"
    assert sentence in capsys.readouterr().err


def test_parts_do_not_depend_on_the_folder_of_the_model(folder, monkeypatch):
    made_with = []
    monkeypatch.setattr(
        videos,
        "restore_video",
        lambda *_, **options: made_with.append(options["made_with"]) or Result(0, (), ()),
    )
    Path("elsewhere").mkdir()
    shutil.copy("same.safetensors", "elsewhere")
    for name in ("same.safetensors", "elsewhere/same.safetensors"):
        assert cli.vmambair(["restore", "film.mp4", "-o", "out", "-m", name]) == 0
    assert made_with[0] == made_with[1]
